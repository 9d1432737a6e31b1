// The only file that imports the server's package.
import { createGateway } from 'juspay-customer-gateway';
import { type Sandbox, startSandbox } from 'juspay-customer-gateway/sandbox';

export type { Sandbox } from 'juspay-customer-gateway/sandbox';

/** Starts the gateway, in process, over a sandbox on a free loopback port. */
export async function openGateway(settings: Readonly<Record<string, string>>) {
  const sandbox: Sandbox = await startSandbox();
  const { url: baseUrl, merchantId, apiKey } = sandbox;
  const gateway = createGateway({
    environment: { AUTH_MODE: 'none', ...settings },
    juspay: { baseUrl, merchantId, apiKey },
    production: false,
    logLevel: 'silent',
  });
  return {
    sandbox,
    schema: gateway.schema,
    fetch: (request: Request) => gateway.fetch(request),
    async close() {
      await gateway.dispose();
      await sandbox.close();
    },
  };
}
