import type { GraphiQLOptions, Plugin } from 'graphql-yoga';
import type { RequestState } from './http.ts';

/** A customer that can be read, for operations that run as they are. */
export interface Examples {
  readonly id: string;
  readonly reference: string;
  /** Tokens by role, for the sandbox: each gets a tab of its own. */
  readonly tokens?: Readonly<Record<string, string>>;
}

/**
 * GraphiQL with one titled tab for each task. Options go into a script of the page as they are: only constants and the
 * gateway's own examples may stand in them.
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
  // The library asks for more addresses than this one.
  return (_request, { state }) => state.target.path === endpoint && options;
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
  return renderGraphiQL(options).replace('</head>', () => `<style>${pageStyle}</style></head>`);
}

/**
 * Tabs that are still being moved into their places jump away from under the pointer, and the first click on each is lost:
 * they stand still here. All of them are seen, in as many rows as it takes.
 */
const pageStyle = `
body .graphiql-container .graphiql-tab { transform: none !important; }
body .graphiql-container .graphiql-session-header { height: auto; min-height: var(--session-header-height); }
body .graphiql-container .graphiql-tabs { flex-wrap: wrap; row-gap: var(--px-4); }
body .graphiql-container .graphiql-logo { white-space: nowrap; }
`;

/** The page runs its own inline scripts and workers, and talks to this gateway only. */
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

/** Pages of this server are HTML only where GraphiQL is; they get a policy. */
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
# As another caller, by the token in Headers below: a key
# of this process signed it, for this sandbox only.
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
# A provoked fault: this magic id makes the sandbox answer
# 503. The gateway tries three times, then says so. Others:
# fault_429, fault_timeout, fault_html; README has the list.
query ProvokedFault {
  customer(id: "fault_503") {
    id
  }
}`;
  return [
    `
# One customer, by the provider's id or by your own
# reference. Null when there is none.
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
# Selecting clientAuthToken, and only that, makes the
# provider mint a short-lived token for its client SDK.
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
# Safe to repeat: it never makes a second customer.
# Run it twice and see the other answer.
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
# A duplicate: the reference is taken. What differs is
# named, the stored values are not.
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
# All that is wrong with an input comes back at once, as
# data. Nothing was sent to the provider.
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
