import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Plugin } from 'graphql-yoga';
import { discardRest, sendText } from './raw.ts';
import type { ResponseBatch } from './response-batch.ts';
import { commonHeaders } from './rules.ts';
import type { RequestState } from './state.ts';

/**
 * Status of a probe: `/health` is 200 while the process runs. `/ready` is 200 if `isReady` returns `true`, else 503. Responses have
 * no body. Neither depends on the provider. `undefined` for other paths.
 */
export function statusOfProbe(path: string, isReady: () => boolean): number | undefined {
  if (path === '/health') return 200;
  return path === '/ready' ? (isReady() ? 200 : 503) : undefined;
}

/** Whether a probe can be answered without Yoga: a `GET` or `HEAD` without `Origin` needs no CORS headers. */
export function isPlainProbe({ method, headers }: IncomingMessage): boolean {
  return (method === 'GET' || method === 'HEAD') && headers.origin === undefined;
}

/** Answers a probe without Yoga, so that the first probes of a process do not wait until it is loaded. */
export function serveProbe(
  message: IncomingMessage,
  response: ServerResponse,
  { requestId, status, responses }: { requestId: string; status: number; responses: ResponseBatch },
): void {
  response.once('finish', () => discardRest(message));
  responses.add({
    send() {
      // A framework in front of the gateway can have sent a response of its own, such as a timeout.
      if (response.destroyed || response.headersSent) return;
      sendText(response, status, ['x-request-id', requestId, ...Object.entries(commonHeaders).flat()], '');
    },
  });
}

/** Serves the other probes. */
export function useHealth(isReady: () => boolean): Plugin<{ state: RequestState }, { state: RequestState }> {
  return {
    onRequest({ serverContext, fetchAPI, endResponse }) {
      const status = statusOfProbe(serverContext.state.origin.target.path, isReady);
      if (status !== undefined) endResponse(new fetchAPI.Response(null, { status }));
    },
  };
}
