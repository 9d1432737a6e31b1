import type { CORSOptions } from 'graphql-yoga';

/** Which pages of other origins may read answers: the exact ones named, or any on this machine (the sandbox). */
export type AllowedOrigins = readonly string[] | 'loopback';

/** Headers that a page may send. */
const allowedHeaders = [
  'content-type',
  'authorization',
  'x-api-key',
  'x-graphql-yoga-csrf',
  'apollo-require-preflight',
  'x-request-timeout-ms',
  'traceparent',
  // Of OpenTelemetry and Sentry in the browser. They add these to each request, which fails its preflight otherwise.
  'tracestate',
  'baggage',
  'sentry-trace',
];

/** An origin that is not allowed gets no CORS header at all; cookies are never asked for. */
export function createCors(allowed: AllowedOrigins): (request: Request) => CORSOptions {
  return (request) => {
    const origin = request.headers.get('origin');
    if (origin === null || !isAllowed(origin, allowed)) return false;
    return {
      // Twice, since the library adds `Vary: Origin` only where it sees a choice.
      origin: [origin, origin],
      methods: ['GET', 'POST'],
      allowedHeaders,
      exposedHeaders: ['retry-after', 'x-request-id'],
      credentials: false,
      maxAge: 600,
    };
  };
}

function isAllowed(origin: string, allowed: AllowedOrigins): boolean {
  if (allowed !== 'loopback') return allowed.includes(origin);
  return /^https?:\/\/(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?$/.test(origin);
}
