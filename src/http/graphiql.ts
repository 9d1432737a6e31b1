import type { GraphiQLOptions, Plugin } from 'graphql-yoga';
import { panelScript, panelStyle } from './graphiql-panel.ts';
import { forcesPreflight } from './head.ts';
import type { RequestState } from './state.ts';

/** An existing customer for the example operations. */
export interface Examples {
  readonly id: string;
  readonly reference: string;
  /** Tokens by role, for the sandbox. Each role has its own tab. */
  readonly tokens?: Readonly<Record<string, string>>;
}

/**
 * Options of GraphiQL, with one tab for each task. Yoga writes them unescaped into a script of the page, so they may contain
 * only constants and the gateway's own examples.
 */
export function graphiqlOptions(
  endpoint: string,
  examples: Examples | undefined,
): (request: Request, context: { state: RequestState }) => GraphiQLOptions | false {
  const id = examples?.id ?? 'cst_0123456789abcdef';
  const reference = examples?.reference ?? 'your-object-reference-id';
  const options: GraphiQLOptions = {
    title: 'Customer gateway',
    endpoint,
    defaultTabs: [
      ...tabs(id, reference, examples !== undefined).map((query) => ({ query: query.trim() })),
      ...Object.entries(examples?.tokens ?? {}).map(([role, token]) => ({
        query: roleTab(role, id).trim(),
        headers: JSON.stringify({ authorization: `Bearer ${token}` }, null, 2),
      })),
    ],
    shouldPersistHeaders: false,
  };
  // Yoga renders the page for every path, and for every `Accept` with `text/html`, even with the weight 0. An operation by GET has a
  // header that forces a preflight; a browser that opens the page sends none.
  return ({ headers }, { state }) => state.origin.target.path === endpoint && !forcesPreflight(headers) && options;
}

/**
 * Renders the page of GraphiQL with all its scripts, so that it works offline. The page has 9 MB and takes about 0.3 s of
 * CPU to render, so it is rendered once and kept: a request for it must not stall the event loop.
 */
export function createGraphiqlRenderer(): (options?: GraphiQLOptions) => Promise<string> {
  let rendered: { readonly key: string; readonly page: Promise<string> } | undefined;
  return (options) => {
    const key = JSON.stringify(options);
    if (rendered?.key !== key) rendered = { key, page: renderPage(options) };
    return rendered.page;
  };
}

async function renderPage(options: GraphiQLOptions | undefined): Promise<string> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const page = renderGraphiQL(options).replace(
    '</head>',
    () => `<style>${pageStyle}${panelStyle}</style><script>${panelScript}</script></head>`,
  );
  const at = page.lastIndexOf(renderCall);
  // A test holds the call. Without it, GraphiQL works without the panel.
  return at < 0 ? page : `${page.slice(0, at)}UpstreamCalls.render(YogaGraphiQL, ${page.slice(at + renderCall.length)}`;
}

/** The call in the page that renders GraphiQL. */
const renderCall = 'YogaGraphiQL.renderYogaGraphiQL(';

/**
 * Disables the animation of the tabs, which move under the pointer so that the first click misses them. Wraps the tabs, so
 * that all are visible.
 */
const pageStyle = `
body .graphiql-container .graphiql-tab { transform: none !important; }
body .graphiql-container .graphiql-session-header { height: auto; min-height: var(--session-header-height); }
body .graphiql-container .graphiql-tabs { flex-wrap: wrap; row-gap: var(--px-4); }
body .graphiql-container .graphiql-logo { white-space: nowrap; }
`;

/** Allows inline scripts and workers, and connections to this gateway only. */
const graphiqlPolicy = [
  "default-src 'none'",
  "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:",
  "worker-src 'self' blob: data:",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  "img-src 'self' data: blob:",
  "connect-src 'self' data: blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Sets a content security policy on HTML responses. GraphiQL is the only one. */
export function usePagePolicy(): Plugin {
  return {
    onResponse({ response }) {
      if (!response.headers.get('content-type')?.startsWith('text/html')) return;
      response.headers.set('content-security-policy', graphiqlPolicy);
      response.headers.set('referrer-policy', 'no-referrer');
    },
  };
}

function roleTab(role: string, id: string): string {
  return `
# Runs as another caller. The token is in Headers below and
# is valid for this sandbox only.
query As${role} {
  own: customer(id: "${id}") {
    objectReferenceId
    clientAuthToken {
      expiresInSeconds
    }
  }
  other: customer(id: "customer-10002") {
    objectReferenceId
  }
}`;
}

function tabs(id: string, reference: string, isSandbox: boolean): string[] {
  const fault = `
# This id makes the sandbox return 503. The gateway tries
# three times, then reports an error. Other ids: fault_429,
# fault_500, fault_timeout, fault_reset, fault_html,
# fault_not_found, fault_unauthorized, fault_no_token.
# The address /__admin of the sandbox lists all of them.
query ProvokedFault {
  customer(id: "fault_503") {
    id
  }
}`;
  return [
    `
# Reads one customer by the provider's id or by your own
# reference. The result is null if there is none.
query ReadCustomer {
  customer(id: "${id}") {
    id
    objectReferenceId
    firstName
    lastName
    emailAddress
    mobileCountryCode
    mobileNumber
    dateCreated
    lastUpdated
  }
}`,
    `
# Selecting clientAuthToken makes the provider create a
# short-lived token for its client SDK.
query ReadWithToken {
  customerByReference(objectReferenceId: "${reference}") {
    id
    clientAuthToken {
      token
      expiresAt
      expiresInSeconds
    }
  }
}`,
    `
# Safe to repeat: it never creates a second customer.
# Run it twice to see the second result.
mutation CreateCustomer {
  createCustomer(
    input: {
      objectReferenceId: "new.customer@example.com"
      mobileNumber: "9000000099"
      emailAddress: "new.customer@example.com"
      firstName: "Noor"
    }
  ) {
    __typename
    ... on CreateCustomerSuccess {
      origin
      customer {
        id
        objectReferenceId
      }
    }
    ... on CustomerAlreadyExistsError {
      differingFields
    }
    ... on CustomerError {
      code
      message
      retryable
    }
  }
}`,
    `
# The reference exists already. The result names the fields
# that differ, but not the stored values.
mutation DuplicateCustomer {
  createCustomer(
    input: {
      objectReferenceId: "${reference}"
      mobileNumber: "9000000042"
      emailAddress: "somebody.else@example.com"
    }
  ) {
    __typename
    ... on CustomerAlreadyExistsError {
      code
      differingFields
      existing {
        id
        objectReferenceId
      }
    }
    ... on CustomerError {
      message
    }
  }
}`,
    `
# Returns all issues of an input at once, as data. Sends
# nothing to the provider.
mutation InvalidCustomer {
  createCustomer(
    input: {
      objectReferenceId: "short"
      mobileNumber: "+91 90000"
      emailAddress: "not an address"
      firstName: ""
    }
  ) {
    __typename
    ... on CustomerValidationError {
      code
      issues {
        path
        code
        message
      }
    }
    ... on CustomerError {
      message
    }
  }
}`,
    `
# Changes only the fields that are present.
mutation UpdateCustomer {
  updateCustomer(id: "${id}", input: { firstName: "Asha Devi" }) {
    __typename
    ... on UpdateCustomerSuccess {
      customer {
        id
        firstName
        lastUpdated
      }
    }
    ... on CustomerError {
      code
      message
      retryable
    }
  }
}`,
    ...(isSandbox ? [fault] : []),
  ];
}
