import type { GraphQLSchema } from 'graphql';
import { type CustomerClient, type CustomerClientOptions, createCustomerClient } from './kit.ts';
import { openGateway, type Sandbox } from './testing-gateway.ts';

export interface TestGatewayOptions {
  /** Settings of the gateway, by environment variable, for example `{ PERSISTED_ONLY: 'on' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Options of the client. */
  readonly client?: Omit<CustomerClientOptions, 'url' | 'fetch'>;
}

export interface TestGateway {
  readonly url: string;
  /** Use instead of the global `fetch`. Handles requests for {@link url} in process. */
  readonly fetch: typeof fetch;
  readonly client: CustomerClient;
  readonly schema: GraphQLSchema;
  /** The sandbox of the provider: its customers, the calls it received, and faults to arm. */
  readonly sandbox: Sandbox;
  close(): Promise<void>;
}

/** Starts the real gateway over the sandbox, in this process, for tests of an app. */
export async function startTestGateway({ settings = {}, client }: TestGatewayOptions = {}): Promise<TestGateway> {
  const { sandbox, schema, fetch: answer, close } = await openGateway(settings);
  const url = 'http://gateway.test/graphql';
  const inProcess: typeof fetch = (input, init) => answer(new Request(input, init));
  return {
    url,
    fetch: inProcess,
    client: createCustomerClient({ ...client, url, fetch: inProcess }),
    schema,
    sandbox,
    close,
  };
}
