export { type Config, ConfigError, loadConfig, type ProviderAccess } from './config.ts';
export { codes, type ErrorCode, GatewayError } from './errors.ts';
export type { Gateway, Peer } from './gateway.ts';
export { CustomerChangesSchema, NewCustomerSchema } from './input.ts';
export { createGateway } from './mount.ts';
export type { GatewayOptions } from './options.ts';
export { Secret } from './secret.ts';
export { type Setting, settings } from './settings.ts';
export type { Log, LogFields, LogLevel } from './telemetry.ts';
