import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { verifyFiles } from '../src/cli/audit.ts';
import { callerKey, documentOf, Load, patienceMs, secretOf, sha256 } from './changes-load.ts';
import { start } from './program.ts';

const watched = [
  'JUSPAY_API_KEY_FILE',
  'MERCHANTS_FILE',
  'AUTH_JWT_SECRET_FILE',
  'AUTH_API_KEYS_FILE',
  'PERSISTED_DOCUMENTS_FILE',
] as const;
type Watched = (typeof watched)[number];

/** The values that callers send, by the setting that lists them. */
const sentByCallers = {
  AUTH_JWT_SECRET_FILE: 'token',
  AUTH_API_KEYS_FILE: 'key',
  PERSISTED_DOCUMENTS_FILE: 'document',
} as const;
/** The keys that the gateway sends to the provider. */
const sentUpstream = {
  JUSPAY_API_KEY_FILE: (generation: number) => `provider-key-${generation}`,
  MERCHANTS_FILE: (generation: number) => `merchant-key-${generation}`,
} as const;

/** The longest use of a removed value, from the swap of the file. */
const removalMs = 1_000;

/** What a run measured for one setting. Times are the maxima of all swaps. */
interface SettingReport {
  readonly linesInLog: number;
  readonly linesInAuditFile: number;
  readonly metric: number;
  /** From the swap of the file to its line in the log. */
  appliedMs: number;
  /** From the swap to the last use of the removed value: a call to the provider with it, or an accepted request with it. */
  lastUseMs: number;
  /** From the line in the log to the last use. Negative if the line is later. */
  lastUseAfterLineMs: number;
}

export interface ChangesReport {
  readonly workers: number;
  readonly swaps: number;
  readonly operations: number;
  readonly failed: number;
  readonly failures: readonly string[];
  readonly durationMs: number;
  /** The exit code of `audit verify`, the highest one of all workers. */
  readonly auditFile: number;
  readonly settings: Readonly<Record<Watched, SettingReport>>;
}

/** Caller keys and documents overlap by one generation, so that callers can change before the older one is removed. */
function contentsOf(generation: number, baseUrl: string): Record<Watched, string> {
  const overlap = [generation, generation + 1];
  const entry = (key: string, merchant: string) => {
    const scopes = ['customer:read', 'customer:write'];
    return { name: 'bff', sha256: sha256(key), scopes, merchant, documents: 'any' };
  };
  return {
    JUSPAY_API_KEY_FILE: sentUpstream.JUSPAY_API_KEY_FILE(generation),
    MERCHANTS_FILE: JSON.stringify({ beta: { apiKey: sentUpstream.MERCHANTS_FILE(generation), baseUrl } }),
    AUTH_JWT_SECRET_FILE: secretOf(generation),
    AUTH_API_KEYS_FILE: JSON.stringify(
      overlap.flatMap((each) => [entry(callerKey(each), 'acme'), entry(`${callerKey(each)}-beta`, 'beta')]),
    ),
    PERSISTED_DOCUMENTS_FILE: JSON.stringify(
      Object.fromEntries(overlap.map((each) => [sha256(documentOf(each)), documentOf(each)])),
    ),
  };
}

/** A provider that knows every customer, accepts every key, and records the last use of each. */
async function startProvider() {
  const lastUses = new Map<string, number>();
  const server = createServer((request, response) => {
    const key = Buffer.from(String(request.headers.authorization).slice(6), 'base64').toString().replace(':', '');
    lastUses.set(key, performance.now());
    const id = decodeURIComponent(request.url?.split('?')[0]?.split('/').at(-1) ?? '');
    request.resume().once('end', () => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, lastUses, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Starts the shipped gateway. `applied` receives the time of each audit line of a changed file. */
async function startGateway(folder: string, providerUrl: string, workers: number, applied: (setting: string) => void) {
  const files = Object.fromEntries(watched.map((setting) => [setting, join(folder, setting)]));
  const run = start([], {
    PORT: '0',
    METRICS_PORT: '0',
    WORKERS: String(workers),
    JUSPAY_MERCHANT_ID: 'acme',
    JUSPAY_BASE_URL: providerUrl,
    AUTH_MODE: 'jwt,api-key',
    AUTH_JWT_ISSUER: 'i',
    AUTH_JWT_AUDIENCE: 'a',
    AUDIT_FILE: join(folder, 'audit.log'),
    // A busy machine is no failed operation.
    JUSPAY_TIMEOUT_MS: '60000',
    OPERATION_TIMEOUT_MS: '120000',
    ...files,
  });
  const { promise: listening, resolve } = Promise.withResolvers<{ url: string; metricsUrl: string }>();
  if (run.child.stdout === null) throw new Error('the gateway has no output');
  createInterface({ input: run.child.stdout }).on('line', (text) => {
    if (text.includes('"message":"listening"')) resolve(JSON.parse(text));
    if (isChange(text)) applied((JSON.parse(text) as { setting: string }).setting);
  });
  const ended = run.exit.then(() => Promise.reject(new Error(`the gateway ended: ${run.output()}`)));
  ended.catch(() => undefined);
  return { run, ended, ...(await Promise.race([listening, ended])) };
}

const isChange = (line: string) =>
  line.includes('"audit":true') && line.includes('"message":"changed file applied"') && line.includes('"APPLIED"');

/**
 * Runs the shipped gateway and swaps all five files `swaps` times, evenly distributed over at least `operations` operations. Before each
 * swap, the clients change to the caller key and the document that both versions of the files have. A shared secret has one value only:
 * no operation with a token starts between its swap and its line in the log.
 *
 * @throws Error if the gateway ends by itself.
 */
export async function runChanges(size: {
  operations: number;
  swaps: number;
  workers?: number;
}): Promise<ChangesReport> {
  const { workers = 1 } = size;
  const startedMs = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'changes-'));
  const provider = await startProvider();
  for (const setting of watched) writeFileSync(join(folder, setting), contentsOf(0, provider.url)[setting]);
  const lines = new Map<string, number[]>(watched.map((setting) => [setting, []]));
  let onLine = () => {};
  const gateway = await startGateway(folder, provider.url, workers, (setting) => {
    lines.get(setting)?.push(performance.now());
    onLine();
  });
  const load = new Load(`${gateway.url}/graphql`, workers);
  /** The swaps of each setting. */
  const swapped = new Map<Watched, { swapMs: number; lastMs: number | undefined }[]>(watched.map((each) => [each, []]));
  try {
    for (let swap = 1; swap <= size.swaps; swap += 1) {
      await Promise.race([load.reached((size.operations * (swap - 1)) / size.swaps), gateway.ended]);
      await load.prepare(swap);
      const isApplied = new Promise<void>((resolve) => {
        onLine = () => {
          if (watched.every((setting) => (lines.get(setting)?.length ?? 0) >= swap * workers)) resolve();
        };
      });
      const contents = contentsOf(swap, provider.url);
      const uses = watched.map(async (setting) => {
        put(join(folder, setting), contents[setting], swap % 2 === 0);
        const swapMs = performance.now();
        const record = { swapMs, lastMs: await lastUseOf(setting, swap - 1, swapMs) };
        swapped.get(setting)?.push(record);
      });
      // The report has the lines that are missing.
      await Promise.race([isApplied, gateway.ended, delay(patienceMs, undefined, { ref: false })]);
      load.resumeTokens();
      await Promise.race([Promise.all(uses), gateway.ended]);
    }
    await Promise.race([load.reached(size.operations), gateway.ended]);
    await load.stop();
    const metrics = await (await fetch(gateway.metricsUrl)).text();
    gateway.run.child.kill('SIGTERM');
    await gateway.run.exit;
    const auditFiles = readdirSync(folder)
      .filter((name) => /^audit.*\.log$/.test(name))
      .map((name) => join(folder, name));
    const changes = auditFiles.flatMap((path) => readFileSync(path, 'utf8').split('\n').filter(isChange));
    const verified = await Promise.all(auditFiles.map((path) => verifyFiles(['verify', path])));
    const reports = watched.map((setting): [Watched, SettingReport] => {
      const metric = new RegExp(`^customer_gateway_config_changes_total\\{file="${setting}"\\} (\\d+)$`, 'm').exec(
        metrics,
      );
      const report: SettingReport = {
        linesInLog: lines.get(setting)?.length ?? 0,
        linesInAuditFile: changes.filter((line) => line.includes(`"${setting}"`)).length,
        metric: Number(metric?.[1] ?? 0),
        appliedMs: 0,
        lastUseMs: 0,
        lastUseAfterLineMs: Number.NEGATIVE_INFINITY,
      };
      for (const [index, { swapMs, lastMs }] of swapped.get(setting)?.entries() ?? []) {
        const keyOf = Object.entries(sentUpstream).find(([name]) => name === setting)?.[1];
        // The provider has recorded the uses of its keys until the end of the run.
        const lastUseMs = (keyOf ? provider.lastUses.get(keyOf(index)) : lastMs) ?? swapMs;
        // Each worker writes a line.
        const lineMs = lines.get(setting)?.[(index + 1) * workers - 1] ?? Number.POSITIVE_INFINITY;
        report.appliedMs = Math.max(report.appliedMs, lineMs - swapMs);
        report.lastUseMs = Math.max(report.lastUseMs, lastUseMs - swapMs);
        report.lastUseAfterLineMs = Math.max(report.lastUseAfterLineMs, lastUseMs - lineMs);
      }
      return [setting, report];
    });
    return {
      workers,
      swaps: size.swaps,
      operations: load.completed,
      failed: load.failed,
      failures: load.failures,
      durationMs: performance.now() - startedMs,
      auditFile: Math.max(...verified.map(({ exitCode }) => exitCode)),
      settings: Object.fromEntries(reports) as Record<Watched, SettingReport>,
    };
  } finally {
    gateway.run.child.kill('SIGKILL');
    provider.server.closeAllConnections();
    provider.server.close();
    rmSync(folder, { recursive: true, force: true });
  }

  /** Sends the removed value until it is refused, and once more after the limit. */
  async function lastUseOf(setting: Watched, generation: number, swapMs: number): Promise<number | undefined> {
    const value = Object.entries(sentByCallers).find(([name]) => name === setting)?.[1];
    const first = value && (await load.lastAccepted(value, generation));
    await delay(Math.max(0, removalMs - (performance.now() - swapMs)));
    return (value && (await load.lastAccepted(value, generation))) ?? first;
  }
}

/** Replaces a file, or changes it in place. */
function put(path: string, content: string, isInPlace: boolean): void {
  writeFileSync(isInPlace ? path : `${path}.new`, content);
  if (!isInPlace) renameSync(`${path}.new`, path);
}

/**
 * The requirements that a run misses.
 *
 * @param options.isTimed whether the time from the swap counts. It does not in a run beside other tests, which keep the machine busy.
 */
export function missedBounds(
  { workers, swaps, failed, auditFile, settings }: ChangesReport,
  { isTimed }: { isTimed: boolean },
): string[] {
  const expected = swaps * workers;
  const missed = watched.flatMap((setting) => {
    const { linesInLog, linesInAuditFile, metric, lastUseMs, lastUseAfterLineMs } = settings[setting];
    const uses = Object.entries({ ...(isTimed && { swap: lastUseMs }), line: lastUseAfterLineMs });
    const counts = Object.entries({ linesInLog, linesInAuditFile, metric });
    return [
      ...counts.flatMap(([name, count]) => (count === expected ? [] : [`${setting}: ${name} ${count} of ${expected}`])),
      ...uses.flatMap(([event, ms]) =>
        ms <= removalMs ? [] : [`${setting}: removed value used ${Math.round(ms)} ms after the ${event}`],
      ),
    ];
  });
  return [
    ...(failed === 0 ? [] : [`${failed} operations failed`]),
    ...(auditFile === 0 ? [] : [`audit verify: exit code ${auditFile}`]),
    ...missed,
  ];
}

/** Prints the report as JSON. Exits with 1 if a bound is missed. */
if (import.meta.main) {
  const { values } = parseArgs({ options: { workers: { type: 'string', default: '1' } } });
  const report = await runChanges({ operations: 10_000, swaps: 20, workers: Number(values.workers) });
  const missed = missedBounds(report, { isTimed: true });
  process.stdout.write(`${JSON.stringify({ missed, ...report }, null, 2)}\n`);
  process.exitCode = missed.length > 0 ? 1 : 0;
}
