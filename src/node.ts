export type { NodeGateway } from './handler.ts';
export { createNodeGateway } from './mount.ts';
export type { GatewayOptions } from './options.ts';
export { type Server, socketLimits, startServer } from './server.ts';
