import type { CORSOptions } from 'graphql-yoga';
import { keyHeader, replayedHeader } from '../idempotency/header.ts';
import { explainHeader } from './explain.ts';

/** Origins whose pages may read responses: an exact list, or any loopback origin (for the sandbox). */
export type AllowedOrigins = readonly string[] | 'loopback';

/** Headers that a page may send. */
const allowedHeaders = [
  'content-type',
  'authorization',
  'x-api-key',
  'x-graphql-yoga-csrf',
  'apollo-require-preflight',
  'x-request-timeout-ms',
  explainHeader,
  keyHeader,
  'traceparent',
  // OpenTelemetry and Sentry add these to each request in the browser. Without them its preflight fails.
  'tracestate',
  'baggage',
  'sentry-trace',
];

/** Options of Yoga's CORS handling. Sends no CORS headers to other origins, and never allows cookies. */
export function createCors(allowed: AllowedOrigins): (request: Request) => CORSOptions {
  return (request) => {
    const origin = request.headers.get('origin');
    if (origin === null || !isAllowed(origin, allowed)) return false;
    return {
      // Listed twice, because Yoga adds `Vary: Origin` only for more than one origin.
      origin: [origin, origin],
      methods: ['GET', 'POST'],
      allowedHeaders,
      exposedHeaders: ['retry-after', 'x-request-id', replayedHeader],
      credentials: false,
      maxAge: 600,
    };
  };
}

function isAllowed(origin: string, allowed: AllowedOrigins): boolean {
  if (allowed !== 'loopback') return allowed.includes(origin);
  return /^https?:\/\/(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?$/.test(origin);
}
