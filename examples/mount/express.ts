// Express 5. The listener reads the request, or uses the body that `express.json()` has parsed.
import express from 'express';
import { createNodeGateway, type GatewayOptions } from 'juspay-customer-gateway/node';

export function createApp(options: GatewayOptions = {}) {
  const gateway = createNodeGateway({ ...options, endpoint: '/api/graphql' });
  const app = express();
  app.use(express.json({ limit: '64kb' }));
  // `endpoint` is the whole path, including the path of the router.
  const api = express.Router();
  api.use('/graphql', gateway.listener);
  app.use('/api', api);
  return { app, gateway };
}
