import { createServer } from 'node:http';
import { customerAt, type WireCustomer } from './customer.ts';

/** The provider of the benchmark. It does as little work as possible, so that it is not the bottleneck. */
const tokenOption = 'options.get_client_auth_token';
let calls = 0;

const server = createServer((request, response) => {
  const target = request.url ?? '/';
  const send = (status: number, body: unknown) => {
    const text = JSON.stringify(body);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.end(text);
  };
  if (target === '/__count') {
    send(200, { calls });
    calls = 0;
    return;
  }
  calls += 1;
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  const query = question < 0 ? '' : target.slice(question + 1);
  if (request.method === 'GET' && path.startsWith('/customers/')) {
    request.resume();
    send(200, customerAt(decodeURIComponent(path.slice('/customers/'.length)), query === `${tokenOption}=true`));
    return;
  }
  if (request.method === 'POST' && path === '/customers') {
    let body = '';
    request.setEncoding('latin1').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => send(200, createdFrom(new URLSearchParams(body))));
    return;
  }
  request.resume();
  send(404, { status: 'NOT_FOUND', error_code: 'invalid_path' });
});

function createdFrom(form: URLSearchParams): WireCustomer {
  const { [tokenOption]: withToken, ...fields } = Object.fromEntries(form);
  return { ...customerAt(fields['object_reference_id'] ?? '', withToken === 'true'), ...fields };
}

server.keepAliveTimeout = 60_000;
server.listen(Number(process.env['PORT']), '127.0.0.1', 4096);
