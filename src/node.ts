export type { NodeGateway } from './http/handler.ts';
export { type OtherListeners, type Server, socketLimits, startServer } from './http/server.ts';
export { createNodeGateway } from './library/mount.ts';
export type { GatewayOptions } from './library/options.ts';
