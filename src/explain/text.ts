import type { Condition, ConditionalCall, Plan, PlannedCall } from './explanation.ts';

const conditionTexts: Readonly<Record<Condition, string>> = {
  ALREADY_EXISTS: 'If the reference exists already',
  OUTCOME_UNKNOWN: 'If the outcome of the write is unknown',
  NOT_APPLIED: 'If the lookup finds that the write had no effect',
};

/** A plan as lines for a terminal. */
export function linesOf({ calls, refused }: Plan): string[] {
  const tokens = calls.filter(({ token }) => token).length;
  return [
    `${counted(calls.length, 'upstream call')}, ${counted(tokens, 'token')}. Nothing was executed.`,
    ...calls.flatMap(linesOfCall),
    ...(refused.length === 0 ? [] : ['', 'Fields that fail without a call:']),
    ...refused.map(({ field, code }) => `   ${field}: ${code}`),
  ];
}

function linesOfCall(call: PlannedCall): string[] {
  const after = call.after === null ? '' : `, after call ${call.after}`;
  return [
    '',
    `${call.call}. ${titleOf(call)}${after}`,
    ...detailsOf(call, '   '),
    ...call.conditional.flatMap((conditional) => [
      `   ${conditionTexts[conditional.condition]}: ${titleOf(conditional)}`,
      ...detailsOf(conditional, '      '),
    ]),
  ];
}

function titleOf({ method, path, customer, token, reads }: PlannedCall | ConditionalCall): string {
  const merged = reads > 1 ? `, ${reads} reads merged` : '';
  return `${method} ${path} ${customer}${token ? ', creates a token' : ''}${merged}`;
}

function detailsOf({ reasons, curl }: PlannedCall | ConditionalCall, indent: string): string[] {
  return [...reasons.map(({ text }) => `${indent}${text}`), `${indent}${curl}`];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
