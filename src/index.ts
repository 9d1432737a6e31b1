export { type Config, ConfigError, loadConfig, type ProviderAccess } from './config.ts';
export { codes, type ErrorCode, GatewayError } from './errors.ts';
export { createGateway, type Gateway, type GatewayConfig } from './gateway.ts';
export { buildSchema } from './graphql/schema.ts';
export { CustomerChangesSchema, NewCustomerSchema } from './input.ts';
export { Secret } from './secret.ts';
export { type Setting, settings } from './settings.ts';
export { type CustomerEntryPoint, stitchingMerge } from './stitching.ts';
export { createLog, type Log, type LogFields, type LogLevel } from './telemetry.ts';
