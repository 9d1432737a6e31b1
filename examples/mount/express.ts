// Express 5. The listener takes the request as it is, or its body where `express.json()` has read it already.
import express from 'express';
import { createNodeGateway, type GatewayOptions } from 'juspay-customer-gateway/node';

export function createApp(options: GatewayOptions = {}) {
  const gateway = createNodeGateway({ ...options, endpoint: '/api/graphql' });
  const app = express();
  app.use(express.json({ limit: '64kb' }));
  // The router's own path counts too: `endpoint` is all of it.
  const api = express.Router();
  api.use('/graphql', gateway.listener);
  app.use('/api', api);
  return { app, gateway };
}
