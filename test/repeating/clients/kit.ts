import { CustomerClientError, createCustomerClient, mayBeDone } from '../../../client/src/client.ts';
import type { TypedDocument } from '../../../client/src/document.ts';
import { CreateCustomerDocument, UpdateCustomerDocument } from '../../../schema/generated/documents.ts';
import { attempts, type Client, type ClientOptions, type Mutation, type Reply } from '../operations.ts';
import type { MutationResult } from '../outcome.ts';

/** The client package. Its person sends again while the outcome is unknown. */
export function openKit({ url, headers }: ClientOptions): Client {
  const client = createCustomerClient({ url, headers: () => headers });
  return {
    async mutate({ kind, variables, key }: Mutation): Promise<Reply> {
      const document = (kind === 'create' ? CreateCustomerDocument : UpdateCustomerDocument) as TypedDocument<
        object,
        unknown
      >;
      for (let left = attempts - 1; ; left -= 1) {
        const reply = await once(document, variables, key);
        if (left === 0 || reply.result != null || reply.codes != null) return reply;
      }
    },
  };

  async function once(document: TypedDocument<object, unknown>, variables: unknown, key?: string): Promise<Reply> {
    try {
      const data = await client.execute(document, variables, key === undefined ? {} : { idempotencyKey: key });
      const [result] = Object.values(data) as MutationResult[];
      return { result };
    } catch (error) {
      if (error instanceof CustomerClientError && !mayBeDone(error)) return { codes: [error.code] };
      return {};
    }
  }
}
