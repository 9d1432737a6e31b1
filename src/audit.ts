import type { Caller } from './caller.ts';
import type { CustomerApi } from './customer.ts';
import { GatewayError } from './errors.ts';
import type { Log } from './telemetry.ts';

/** What the lines of one operation have in common. */
export interface AuditContext {
  readonly requestId: string;
  readonly caller: Caller;
  readonly merchant: string;
  /** A name for a person or a caller that only who holds the merchant's key can make, so that guessing tells nothing. */
  readonly pseudonym: (text: string) => string;
  /** As the client named it; left out where it is no name. */
  readonly operationName: string | undefined;
  /** The provider's own id of its last answer to this operation. */
  readonly providerRequestId: () => string | undefined;
}

/**
 * One line for each write that was asked for, whatever became of it: who, for which merchant, on whom (by pseudonym), which
 * fields (by name), and how it ended. Values never stand in it.
 */
export function audited(api: CustomerApi, context: AuditContext, log: Log): CustomerApi {
  const line = (field: string, subject: string, changed: object, outcome: string) => {
    const providerRequestId = context.providerRequestId();
    log.info('audit', {
      requestId: context.requestId,
      caller: context.pseudonym(context.caller.name),
      merchant: context.merchant,
      ...(context.operationName !== undefined && { operationName: context.operationName }),
      field,
      customer: context.pseudonym(subject),
      changed: Object.keys(changed),
      outcome,
      ...(providerRequestId !== undefined && { providerRequestId }),
    });
  };
  const follow = async <T>(
    field: string,
    subject: string,
    changed: object,
    write: Promise<T>,
    outcomeOf: (result: T) => string,
  ): Promise<T> => {
    try {
      const result = await write;
      line(field, subject, changed, outcomeOf(result));
      return result;
    } catch (error) {
      line(field, subject, changed, error instanceof GatewayError ? error.code : 'INTERNAL_SERVER_ERROR');
      throw error;
    }
  };
  return {
    get: api.get,
    create: (input, options) =>
      follow('createCustomer', input.objectReferenceId, input, api.create(input, options), ({ origin }) => origin),
    update: (id, changes) => follow('updateCustomer', id, changes, api.update(id, changes), () => 'UPDATED'),
  };
}
