import { createServer } from 'node:http';
import { createJuspay, environment, type NewCustomer } from './juspay.ts';

/** A request without GraphQL, for the necessary upstream calls only. Its cost is the lower bound of this HTTP stack. */
interface ReadRequest {
  readonly ids?: readonly string[];
  readonly create?: NewCustomer;
  readonly withToken: boolean;
}

const { port, upstream } = environment();
const juspay = createJuspay(upstream);

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    handle(JSON.parse(Buffer.concat(chunks).toString()) as ReadRequest).then(
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

async function handle({ ids = [], create, withToken }: ReadRequest): Promise<unknown[]> {
  if (create) return [await juspay.create(create, withToken)];
  const distinct = [...new Set(ids)];
  const found = await Promise.all(distinct.map((id) => juspay.get(id, withToken)));
  const byId = new Map(distinct.map((id, index) => [id, found[index]]));
  return ids.map((id) => byId.get(id));
}

server.listen(port, '127.0.0.1');
