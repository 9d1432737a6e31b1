export * from '../../schema/generated/fixtures.ts';
export * from '../../schema/generated/msw.ts';
export { type HandlerOptions, type MockAnswer, type MockErrors, mockOperation } from './msw-handlers.ts';
