import { createYoga, type FetchAPI } from 'graphql-yoga';
import { type AllowedOrigins, createCors } from './cors.ts';
import { createGraphiqlRenderer, type Examples, graphiqlOptions, usePagePolicy } from './graphiql.ts';
import { useHealth } from './health.ts';
import { useHttp } from './http.ts';
import type { HttpRules } from './rules.ts';
import type { RequestState } from './state.ts';

export interface YogaOptions {
  readonly rules: HttpRules;
  readonly corsOrigins: AllowedOrigins;
  readonly graphiql: boolean;
  readonly examples: Examples | undefined;
  readonly isReady: () => boolean;
}

/** Serves requests of the Fetch API: all that are not plain, see `plain.ts`. */
export interface Yoga {
  readonly fetchAPI: Pick<FetchAPI, 'Request'>;
  readonly fetch: (request: Request, context: { state: RequestState }) => Response | Promise<Response>;
}

export function openYoga({ rules, corsOrigins, graphiql, examples, isReady }: YogaOptions): Yoga {
  return createYoga<{ state: RequestState }>({
    graphqlEndpoint: rules.endpoint,
    cors: createCors(corsOrigins),
    graphiql: graphiql ? graphiqlOptions(rules.endpoint, examples) : false,
    // Disabled, because Yoga's health check matches more than its exact path. `useHealth` replaces it. No path contains a space.
    healthCheckEndpoint: ' ',
    renderGraphiQL: createGraphiqlRenderer(),
    landingPage: false,
    logging: false,
    batching: false,
    multipart: false,
    // Replaced by `useHttp` and the engine.
    maxRequestBodySize: false,
    parserAndValidationCache: false,
    maskedErrors: false,
    plugins: [useHealth(isReady), useHttp(rules), usePagePolicy()],
  });
}
