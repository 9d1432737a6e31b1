import type { MutationResult } from './outcome.ts';

/** One mutation of one person. */
export type Mutation = Create | Update;

interface Create {
  readonly kind: 'create';
  readonly variables: {
    readonly input: {
      readonly objectReferenceId: string;
      readonly mobileNumber: string;
      readonly emailAddress: string;
      readonly firstName: string;
    };
  };
  /** The `Idempotency-Key`, without quotes. */
  readonly key: string | undefined;
}

interface Update {
  readonly kind: 'update';
  readonly variables: { readonly id: string; readonly input: { readonly firstName: string } };
  readonly key: string | undefined;
}

/** What a program gives to its caller at the end. */
export interface Reply {
  readonly result?: (MutationResult & { readonly code?: string }) | null | undefined;
  /** Of GraphQL errors. */
  readonly codes?: readonly unknown[];
}

/** A program of one person. */
export interface Client {
  /** Never rejects. A failure without an answer is an empty reply. */
  mutate(mutation: Mutation): Promise<Reply>;
  close?(): Promise<void> | void;
}

export interface ClientOptions {
  readonly url: string;
  /** The credentials. */
  readonly headers: Readonly<Record<string, string>>;
}

const error = '... on CustomerError { code }';

/** The documents that each program sends. */
export const documents = {
  create: `mutation Create($input: CreateCustomerInput!) { createCustomer(input: $input) { __typename ... on CustomerAlreadyExistsError { differingFields } ${error} } }`,
  update: `mutation Update($id: ID!, $input: UpdateCustomerInput!) { updateCustomer(id: $id, input: $input) { __typename ${error} } }`,
} as const;

/** The most attempts of each program for one operation. */
export const attempts = 5;

export const headersOfKey = (key: string | undefined): Record<string, string> =>
  key === undefined ? {} : { 'idempotency-key': `"${key}"` };

interface GraphQLErrorLike {
  readonly extensions?: Readonly<Record<string, unknown>> | undefined;
}

/** What the answer tells: the value of its only field, and the codes of its errors. */
export function replyOf(answer: {
  readonly data?: unknown;
  readonly errors?: readonly GraphQLErrorLike[] | null | undefined;
}): Reply {
  const [result] = Object.values((answer.data ?? {}) as Record<string, MutationResult | null>);
  return { result, codes: (answer.errors ?? []).map(({ extensions }) => extensions?.['code']) };
}
