import { channel } from 'node:diagnostics_channel';
import type { Client, Dispatcher } from 'undici';

/** undici publishes each request here, with its path, before `dispatch` returns. */
const created = channel('undici:request:create');

/**
 * Dispatches a request that instrumentations do not see. The path contains the id of a customer, which may be an e-mail address, and
 * the OpenTelemetry instrumentation of undici exports it and adds its own headers to the request. The span of the attempt replaces it.
 *
 * Other requests of the process are not affected: the channel looks empty only during this call.
 */
export function dispatchUninstrumented(
  client: Client,
  request: Dispatcher.DispatchOptions,
  handler: Dispatcher.DispatchHandler,
) {
  if (!created.hasSubscribers) {
    client.dispatch(request, handler);
    return;
  }
  Object.defineProperty(created, 'hasSubscribers', { value: false, configurable: true });
  try {
    client.dispatch(request, handler);
  } finally {
    Reflect.deleteProperty(created, 'hasSubscribers');
  }
}
