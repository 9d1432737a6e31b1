import { createServer } from 'node:http';
import { type Customer, createJuspay, environment, type NewCustomer } from './juspay.ts';

/** A request without GraphQL, for the necessary upstream calls only. Its cost is the lower bound of this HTTP stack. */
interface PlainRequest {
  readonly ids?: readonly string[];
  readonly create?: NewCustomer;
  readonly withToken: boolean;
  /** Joins a read of the same id that is in flight. */
  readonly shared?: boolean;
}

const { port, ...provider } = environment();
const juspay = createJuspay(provider);
const inFlight = new Map<string, Promise<Customer | null>>();

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    handle(JSON.parse(Buffer.concat(chunks).toString()) as PlainRequest).then(
      (data) => send(200, { data }),
      (error: unknown) => send(500, { errors: [{ message: String(error) }] }),
    );
  });
  const send = (status: number, body: unknown) => {
    const text = JSON.stringify(body);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.end(text);
  };
});

async function handle({ ids = [], create, withToken, shared }: PlainRequest): Promise<unknown[]> {
  if (create) return [await juspay.create(create, withToken)];
  if (ids.length === 1) return [await (shared ? join : juspay.get)(ids[0] as string, withToken)];
  const distinct = [...new Set(ids)];
  const found = await Promise.all(distinct.map((id) => juspay.get(id, withToken)));
  const byId = new Map(distinct.map((id, index) => [id, found[index]]));
  return ids.map((id) => byId.get(id));
}

function join(id: string, withToken: boolean): Promise<Customer | null> {
  const read = inFlight.get(id) ?? juspay.get(id, withToken).finally(() => inFlight.delete(id));
  inFlight.set(id, read);
  return read;
}

server.listen(port, '127.0.0.1');
