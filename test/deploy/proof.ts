import { readFileSync } from 'node:fs';
import { evaluate, type Firing, readRules, rulesPath } from './promtool.ts';
import type { Recording } from './recording.ts';
import { caseOf, type Phases } from './timeline.ts';

const rulesText = readFileSync(rulesPath, 'utf8');
export const rules = readRules(rulesText);
const alertNames = [...new Set(rules.map(({ alert }) => alert))];

/** How one alert reacts to a fault, in seconds of rule time. */
export interface Reaction {
  readonly alert: string;
  readonly severity: string;
  /** From the start of the fault to the first moment at which the alert fires. */
  readonly afterSeconds: number;
}

/** Evaluates the shipped rules on recordings, by name. */
export async function react(
  recordings: ReadonlyMap<string, Recording>,
  phases: Phases,
): Promise<Map<string, Reaction[]>> {
  const isUsed = (metric: string) => rulesText.includes(metric);
  const cases = [...recordings].map(([name, recording]) => caseOf(name, recording, phases, isUsed));
  const firings = await evaluate(cases, alertNames);
  return new Map([...firings].map(([name, found]) => [name, reactionsOf(found, phases)]));
}

/** One reaction for each alert and severity. */
function reactionsOf(firings: readonly Firing[], { healthy }: Phases): Reaction[] {
  const byKey = Map.groupBy(firings, ({ alert, labels }) => `${alert} ${labels['severity']}`);
  return [...byKey.values()]
    .map((found) => {
      const moments = found.map(({ atSeconds }) => atSeconds);
      return {
        alert: found[0]?.alert ?? '',
        severity: found[0]?.labels['severity'] ?? '',
        afterSeconds: Math.min(...moments) - healthy,
      };
    })
    .toSorted((one, other) => one.afterSeconds - other.afterSeconds);
}
