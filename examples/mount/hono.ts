// Hono, on any runtime. `app.mount` would remove the prefix of the path; `app.all` keeps it.
import { Hono } from 'hono';
import { createGateway, type GatewayOptions } from 'juspay-customer-gateway';

export function createApp(options: GatewayOptions = {}) {
  const gateway = createGateway({ ...options, endpoint: '/api/graphql' });
  const app = new Hono().basePath('/api');
  app.all('/graphql', ({ req }) => gateway.fetch(req.raw));
  return { app, gateway };
}
