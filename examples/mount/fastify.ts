// Fastify 5. The plugin scope disables body parsing, so that the gateway reads the body and applies its limit.
import fastify from 'fastify';
import { createNodeGateway, type GatewayOptions, socketLimits } from 'juspay-customer-gateway/node';

export function createApp(options: GatewayOptions = {}) {
  const gateway = createNodeGateway(options);
  const app = fastify({ http: socketLimits, keepAliveTimeout: socketLimits.keepAliveTimeout });
  app.register((scope, _options, ready) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _body, done) => done(null));
    scope.route({
      url: '/graphql',
      method: ['GET', 'POST', 'OPTIONS'],
      handler: (request, reply) => {
        reply.hijack();
        gateway.listener(request.raw, reply.raw);
      },
    });
    ready();
  });
  app.addHook('onClose', () => gateway.dispose());
  return { app, gateway };
}
