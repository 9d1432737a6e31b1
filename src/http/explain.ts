import type { HeaderReader } from '../auth/auth.ts';
import { RequestError } from '../errors.ts';
import type { Answer } from '../execution/answer.ts';
import type { Params } from './params.ts';
import { type ExplainMode, execute, type HttpRules } from './rules.ts';
import type { OperationRequest, RequestState } from './state.ts';

/** The header that asks for an explanation of an operation. */
export const explainHeader = 'x-gateway-explain';

const modes: readonly ExplainMode[] = ['plan', 'trace'];

/** @returns `undefined` if the request asks for no explanation. @throws RequestError for an unknown value. */
export function explainModeOf(headers: HeaderReader): ExplainMode | undefined {
  const value = headers.get(explainHeader);
  if (value == null) return undefined;
  const mode = modes.find((known) => known === value.trim().toLowerCase());
  if (mode !== undefined) return mode;
  throw new RequestError('BAD_USER_INPUT', { message: `${explainHeader} must be ${modes.join(' or ')}.` });
}

/**
 * Like {@link execute}, with an explanation. All rules of other requests apply, except that `Idempotency-Key` is ignored: a plan
 * must not be kept, and a trace must show calls.
 *
 * @throws RequestError `FORBIDDEN` without the scope `gateway:explain`; nothing is executed.
 */
export async function executeExplained(
  mode: ExplainMode,
  params: Params,
  request: OperationRequest,
  state: RequestState,
  rules: HttpRules,
): Promise<Answer> {
  if (!state.caller?.scopes.has('gateway:explain')) {
    const message = `${explainHeader} needs the scope gateway:explain. Nothing was executed.`;
    throw new RequestError('FORBIDDEN', { status: 403, message });
  }
  const explained = rules.explain(mode);
  const { engine, openOperation } = explained;
  state.answer = explained.explain(
    await execute(params, request, state, { ...rules, engine, openOperation, openRepeatable: undefined }),
  );
  return state.answer;
}
