import type { Config } from '../config/config.ts';
import { Secret } from '../config/secret.ts';
import { isLoopback } from '../config/settings.ts';
import type { Sandbox } from '../sandbox/server.ts';
import type { SharedSandbox } from './workers/messages.ts';

/** The sandbox of a gateway without credentials. */
export interface Embedded {
  readonly sandbox: Sandbox;
  readonly shared: SharedSandbox;
  readonly banner: (url: string, metricsUrl: string | undefined, graphiql: boolean) => readonly string[];
}

/** Starts the sandbox, with tokens for example roles if only this machine can reach the gateway. */
export async function startEmbedded({ auth, host }: Config): Promise<Embedded> {
  const [{ startSandbox }, { gatewayBanner }, { createRoles }] = await Promise.all([
    import('../sandbox/server.ts'),
    import('../sandbox/banner.ts'),
    import('./tokens.ts'),
  ]);
  const started = await startSandbox();
  const { url: baseUrl, merchantId, apiKey, customers } = started;
  const [first] = customers;
  const roles = auth.modes.length === 0 && isLoopback(host) ? await createRoles(first?.id ?? '') : undefined;
  const shared: SharedSandbox = {
    baseUrl,
    merchantId,
    apiKey,
    examples: first && { id: first.id, reference: first.objectReferenceId },
    roles: roles && { secret: roles.secret.reveal(), tokens: roles.tokens },
  };
  return {
    sandbox: started,
    shared,
    banner: (url: string, metricsUrl: string | undefined, graphiql: boolean) =>
      gatewayBanner(started, { url, metricsUrl, graphiql }),
  };
}

/** What a gateway needs to use the sandbox, in the process of the sandbox or in another one. */
export async function openShared({ baseUrl, merchantId, apiKey, examples, roles }: SharedSandbox) {
  return {
    access: { baseUrl, merchantId, apiKey: new Secret(apiKey) },
    auth: roles && (await import('./tokens.ts')).authOfRoles(new Secret(roles.secret)),
    examples: examples && { ...examples, ...(roles && { tokens: roles.tokens }) },
  };
}
