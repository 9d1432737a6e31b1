// The command `npm run repeating`. Runs each program with 4,000 creates and 2,000 updates for each of three seeds and prints a table. With
// `-- --publish`, it writes the table into docs/retries.md, and the figures into results.json. With `-- --program nginx`, it runs one program.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { withTable } from '../../tools/tables.ts';
import { added, faultsOf, type Mode, modes, type ProgramResults } from './modes.ts';
import { type ProgramName, programNames, programs } from './programs.ts';
import { type Report, runProgram } from './run.ts';
import { readResults, resultsFile, rowsOfResults } from './table.ts';

const { values } = parseArgs({
  options: {
    program: { type: 'string', multiple: true, default: [] },
    creates: { type: 'string', default: '4000' },
    updates: { type: 'string', default: '2000' },
    seeds: { type: 'string', default: '1,2,3' },
    parallel: { type: 'string', default: '2' },
    publish: { type: 'boolean', default: false },
    /** Runs one program in this process and prints its results as JSON. */
    child: { type: 'boolean', default: false },
  },
});
const page = 'docs/retries.md';
const names = values.program.length > 0 ? values.program.map(nameOf) : programNames;

if (values.child) console.log(JSON.stringify(await runOne(names[0] as ProgramName)));
else await runAll();

function nameOf(text: string): ProgramName {
  const name = programNames.find((known) => known === text);
  if (name === undefined) throw new Error(`There is no program ${text}: ${programNames.join(', ')}`);
  return name;
}

async function runOne(name: ProgramName): Promise<ProgramResults> {
  const program = programs[name];
  const results: Partial<Record<Mode, Report>> = {};
  for (const mode of Object.keys(modes) as Mode[]) {
    const options = modes[mode];
    if (program.hasOwnKeys && 'keyed' in options) continue;
    // Without unique references, one seed and a quarter of the creates show what holds.
    const isShort = 'uniqueReferences' in options;
    const share = (isShort ? 0.25 : 1) * (program.scale ?? 1);
    const creates = Math.round(Number(values.creates) * share);
    const updates = isShort ? 0 : Math.round(Number(values.updates) * share);
    for (const seed of values.seeds
      .split(',')
      .map(Number)
      .slice(0, isShort ? 1 : undefined)) {
      results[mode] = added(results[mode], await runProgram(program, { seed, creates, updates, ...options }));
    }
  }
  return { version: program.version(), modes: results };
}

async function runAll(): Promise<void> {
  const results = new Map<ProgramName, ProgramResults>();
  const queue = [...names];
  const work = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const found = await runInChild(name);
      results.set(name, found);
      if (values.publish) publish(name, found);
      for (const [mode, report] of Object.entries(found.modes)) {
        const faults = Object.entries(faultsOf(mode as Mode, report)).filter(([, count]) => count > 0);
        console.log(JSON.stringify({ name, mode, ...report, ...(faults.length > 0 && { faults }) }));
        if (faults.length > 0) process.exitCode = 1;
      }
    }
  };
  await Promise.all(Array.from({ length: Number(values.parallel) }, work));
  const rows = rowsOfResults(Object.fromEntries(results));
  console.log(rows.filter((_row, index) => results.has(programNames[index] as ProgramName)).join('\n'));
}

/** Saves the figures of a program, so that a run that is interrupted keeps those of the programs that have ended. */
function publish(name: ProgramName, found: ProgramResults): void {
  const all = { ...readResults(), [name]: found };
  writeFileSync(resultsFile, `${JSON.stringify(all, null, 2)}\n`);
  writeFileSync(page, withTable(readFileSync(page, 'utf8'), 'repeating', rowsOfResults(all)));
}

/** Runs a program in a process of its own, so that programs do not share a heap. */
async function runInChild(name: ProgramName): Promise<ProgramResults> {
  const own = [
    '--child',
    '--program',
    name,
    ...(['creates', 'updates', 'seeds'] as const).flatMap((key) => [`--${key}`, values[key]]),
  ];
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...own], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  // Some programs print lines of their own.
  const line = output.split('\n').find((text) => text.startsWith('{"version"'));
  if (code !== 0 || line === undefined) throw new Error(`${name} ended with ${code}: ${output}`);
  return JSON.parse(line) as ProgramResults;
}
