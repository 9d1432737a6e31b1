import type { GraphQLSchema } from 'graphql';
import { type CustomerClient, type CustomerClientOptions, createCustomerClient } from './kit.ts';
import { openGateway, type Sandbox } from './testing-gateway.ts';

export interface TestGatewayOptions {
  /** Settings of the gateway by the names of its environment, such as `{ PERSISTED_ONLY: 'on' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Of the client. */
  readonly client?: Omit<CustomerClientOptions, 'url' | 'fetch'>;
}

export interface TestGateway {
  readonly url: string;
  /** In the place of the global one: answers requests for {@link url} in process. */
  readonly fetch: typeof fetch;
  readonly client: CustomerClient;
  readonly schema: GraphQLSchema;
  /** The provider's stand-in: its customers, the calls that it saw, faults to arm. */
  readonly sandbox: Sandbox;
  close(): Promise<void>;
}

/** The real gateway over the real sandbox, in this process: for tests of an app that should not mock what it depends on. */
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
