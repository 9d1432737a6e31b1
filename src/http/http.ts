import type { FetchAPI, Plugin } from 'graphql-yoga';
import { cancellationOf } from '../customers/cancellation.ts';
import type { Answer } from '../execution/answer.ts';
import { tooLong } from './bodies.ts';
import { executeExplained, explainModeOf } from './explain.ts';
import { paramsOfBody, paramsOfQuery } from './params.ts';
import { admit, checkHead, commonHeaders, execute, type HttpRules, identify, refuse } from './rules.ts';
import type { RequestState } from './state.ts';

/**
 * Applies the rules for HTTP requests to the requests that Yoga serves. Accepts POST with `application/json`, and GET for
 * queries with a header that forces a CORS preflight. Refuses compressed bodies, bodies over `maxBodyBytes`, batches, and any
 * operation during a drain. Every refusal has a JSON body with `errors`.
 */
export function useHttp(rules: HttpRules): Plugin<{ state: RequestState }, { state: RequestState }> {
  return {
    async onRequest({ request, url, serverContext: { state }, fetchAPI, endResponse }) {
      try {
        const { method, headers } = request;
        const searchParams = state.origin.target.query === '' ? undefined : url.searchParams;
        checkHead({ method, headers, searchParams }, state, rules);
        await identify(headers, state, rules);
      } catch (error) {
        // Yoga would send the stack of an unknown error.
        endResponse(responseOf(refuse(error, request.headers, state, rules), fetchAPI));
      }
    },

    /** Answers the request where Yoga parses it, so that the processing of Yoga does not run. */
    onRequestParse({ request, url, setRequestParser, serverContext: { state }, fetchAPI }) {
      const { headers } = request;
      const isGet = request.method === 'GET';
      const cancellation = cancellationOf(request.signal);
      const parse: (request: Request) => Promise<unknown> = async () => {
        try {
          const body = isGet ? undefined : await readBytes(request, state);
          await admit(state, rules);
          const params = body === undefined ? paramsOfQuery(url.searchParams) : paramsOfBody(body);
          const operation = { isGet, headers, cancellation };
          const mode = explainModeOf(headers);
          const answer =
            mode === undefined
              ? await execute(params, operation, state, rules)
              : await executeExplained(mode, params, operation, state, rules);
          return responseOf(answer, fetchAPI);
        } catch (error) {
          return responseOf(refuse(error, headers, state, rules), fetchAPI);
        }
      };
      // The type lacks responses, which Yoga accepts here.
      setRequestParser(parse as Parameters<typeof setRequestParser>[0]);
    },

    onResponse({ response, serverContext }) {
      response.headers.set('x-request-id', serverContext.state.requestId);
      for (const [name, value] of Object.entries(commonHeaders)) response.headers.set(name, value);
    },
  };

  async function readBytes(request: Request, state: RequestState): Promise<Uint8Array> {
    const { origin } = state;
    if (origin.readBody !== undefined) return origin.readBody(rules.maxBodyBytes);
    if (request.body !== null) return rules.bodies.read(request.body, rules.maxBodyBytes);
    // A framework has already read the stream and keeps the text.
    const bytes = Buffer.from(await request.text());
    if (bytes.byteLength > rules.maxBodyBytes) throw tooLong(rules.maxBodyBytes);
    return bytes;
  }
}

function responseOf({ status, headers, body }: Answer, fetchAPI: FetchAPI): Response {
  // A copy: the response of Yoga writes further headers to the given object.
  return new fetchAPI.Response(body, { status, headers: { ...headers } });
}
