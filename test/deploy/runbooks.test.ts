import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import { startMetricsServer } from '../../src/http/server.ts';
import type { FaultName } from '../../src/sandbox/faults.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type Run, start } from '../program.ts';
import { operationsOf } from './recording.ts';

/** A gateway whose runbooks are executed. */
interface Patient {
  readonly url: string;
  readonly metricsUrl: string;
  readonly log: () => string;
  readonly close: () => Promise<unknown>;
}

interface ProgramPatient extends Patient {
  readonly program: Run;
}

type Environment = Readonly<Record<string, string>>;

/** A fault, and the alerts whose runbooks are executed while it lasts. */
interface Phase<P extends Patient> {
  readonly alerts: readonly string[];
  readonly fault?: FaultName;
  /** Default: sends operations. */
  readonly provoke?: (patient: P, sandbox: Sandbox) => Promise<unknown>;
  /** A code that the log must show before the steps are executed. The log has 10 lines of one message in a second, so more may be needed. */
  readonly code?: string;
  /** Whether operations continue while the steps are executed. */
  readonly isLasting?: boolean;
}

/** The faults of one gateway, one after the other. */
interface Course<P extends Patient> {
  readonly environment?: Environment;
  readonly open: (environment: Environment, sandbox: Sandbox) => Promise<P>;
  readonly phases: readonly Phase<P>[];
}

/** A command of a runbook, and lines of its output. */
interface Step {
  readonly command: string;
  readonly expected: readonly string[];
}

interface ExecutedStep extends Step {
  readonly printed: readonly string[];
}

const run = promisify(execFile);
const page = readFileSync('docs/runbooks.md', 'utf8');
const sections = new Map(
  page
    .split(/^### CustomerGateway/m)
    .slice(1)
    .map((text) => [/^\w+/.exec(text)?.[0] ?? '', text.split(/^## /m)[0] ?? '']),
);
const functions = /```sh\n(warnings\(\) \{[\s\S]*?)```/.exec(page)?.[1] ?? '';
const folder = mkdtempSync(join(tmpdir(), 'runbooks-'));
const keysPath = join(folder, 'keys.json');
const auditPath = join(folder, 'audit.log');
const headers = { 'content-type': 'application/json' };
/** Nothing listens there. */
const nowhere = '127.0.0.1:1';

const provider: Course<ProgramPatient> = {
  environment: { OPERATION_TIMEOUT_MS: '3000' },
  open: openProgram,
  phases: [
    {
      alerts: ['EventLoopDelay'],
      async provoke(patient, sandbox) {
        patient.program.child.kill('SIGSTOP');
        const answered = send(patient, sandbox);
        // The delay itself.
        await wait(1_000);
        patient.program.child.kill('SIGCONT');
        await answered;
      },
    },
    { alerts: ['ProviderRejecting'], fault: 'rejected', code: 'UPSTREAM_REJECTED' },
    { alerts: ['ProviderMalformed'], fault: 'html', code: 'UPSTREAM_MALFORMED' },
    { alerts: ['ProviderMisconfigured'], fault: 'unauthorized', code: 'UPSTREAM_MISCONFIGURED' },
    {
      alerts: ['AvailabilityBurn', 'BreakerOpen', 'ProviderFailing', 'UnknownOutcomes'],
      fault: '503',
      async provoke(patient, sandbox) {
        // Successful calls of the phases before count for 10 s.
        const isOpen = /^customer_gateway_breaker_open\{.*method="GET"\} 1$/m;
        do await send(patient, sandbox);
        while (!isOpen.test(await textOf(patient.metricsUrl)));
      },
    },
    {
      alerts: ['Down', 'InstanceDown'],
      async provoke({ program }) {
        program.child.kill('SIGKILL');
        await program.exit;
      },
    },
  ],
};

const dependencies: Course<ProgramPatient> = {
  environment: {
    AUTH_MODE: 'jwt,api-key',
    AUTH_API_KEYS_FILE: keysPath,
    AUTH_JWT_ISSUER: 'https://issuer.example',
    AUTH_JWT_AUDIENCE: 'customers',
    AUTH_JWKS_URL: `http://${nowhere}/keys`,
    REDIS_URL: `redis://${nowhere}`,
    RATE_LIMIT_PER_MINUTE: '1000',
  },
  open: openProgram,
  phases: [
    {
      alerts: ['KeySetFailing', 'KeySetStale', 'RateLimitFallback', 'IdempotencyFallback', 'RefusedCredentials'],
      async provoke(patient, sandbox) {
        await send(patient, sandbox, { 'x-api-key': 'wrong' });
        await patient.program.waitFor(/key set cannot be read/);
        await patient.program.waitFor(/shared counters cannot be used/);
        await patient.program.waitFor(/kept operations cannot be shared/);
      },
    },
    {
      alerts: ['FileUnusable'],
      async provoke({ program }) {
        writeFileSync(keysPath, '[{');
        await program.waitFor(/watched file is unusable/);
      },
    },
  ],
};

const load: Course<ProgramPatient> = {
  environment: {
    OPERATION_TIMEOUT_MS: '60000',
    JUSPAY_TIMEOUT_MS: '60000',
    JUSPAY_CONNECTIONS: '4',
    SHUTDOWN_GRACE_MS: '60000',
  },
  open: openProgram,
  phases: [
    { alerts: ['TokensUnavailable'], fault: 'no_token' },
    { alerts: ['LatencyBurn', 'Queueing'], fault: 'slow' },
    {
      alerts: ['Overloaded'],
      fault: 'timeout',
      async provoke(patient, sandbox) {
        const { program, url } = patient;
        const earlier = new Set(sandbox.calls);
        const called = sandbox.whenCalled((call) => !earlier.has(call));
        const [body = ''] = operationsOf(sandbox, 0);
        // Keeps the instance draining. It is not answered.
        fetch(`${url}/graphql`, { method: 'POST', headers, body }).catch(() => undefined);
        await called;
        program.child.kill('SIGTERM');
        while ((await fetch(`${url}/ready`)).status !== 503);
        await send(patient, sandbox);
      },
    },
  ],
};

const instance: Course<ProgramPatient> = {
  environment: { OPERATION_TIMEOUT_MS: '3000', LOG_LEVEL: 'debug', AUDIT_FILE: auditPath },
  async open(environment) {
    const earlier: Run[] = [];
    while (earlier.length < 2) {
      const program = start(['serve'], environment);
      earlier.push(program);
      await program.waitFor(/"message":"listening"/);
      program.child.kill('SIGKILL');
      await program.exit;
    }
    const last = await openProgram(environment);
    return { ...last, log: () => [...earlier, last.program].map(({ output }) => output()).join('') };
  },
  phases: [
    { alerts: ['Restarting'] },
    {
      alerts: ['LogLinesDropped'],
      fault: 'html',
      async provoke({ program, url, metricsUrl }) {
        // Nothing reads the log, as if the collector had stopped.
        program.child.stdout?.pause();
        const reads = Array.from({ length: 20 }, (_, index) => `c${index}: customer(id: "c${index}") { id }`);
        const body = JSON.stringify({ query: `{ ${reads.join(' ')} }` });
        const dropped = /^customer_gateway_log_lines_dropped_total [1-9]/m;
        while (!dropped.test(await textOf(metricsUrl))) {
          await Promise.all(Array.from({ length: 10 }, () => post(url, body)));
        }
        program.child.stdout?.resume();
        await program.waitFor(/"message":"log lines dropped"/);
      },
    },
    {
      alerts: ['RetryBudgetEmpty'],
      fault: 'reset',
      isLasting: true,
      async provoke(patient, sandbox) {
        const isEmpty = /^customer_gateway_retry_budget_left\{.*\} 0$/m;
        while (!isEmpty.test(await textOf(patient.metricsUrl))) await send(patient, sandbox);
      },
    },
    { alerts: ['HeldBack'], fault: '429' },
    {
      alerts: ['AuditFailing'],
      async provoke(patient, sandbox) {
        rmSync(auditPath);
        mkdirSync(auditPath);
        await send(patient, sandbox);
        await patient.program.waitFor(/audit file cannot be written/);
      },
    },
  ],
};

const fleet: Course<ProgramPatient> = {
  environment: { WORKERS: '2' },
  open: openProgram,
  phases: [
    {
      alerts: ['WorkerRestarting'],
      async provoke({ program }) {
        const { stdout } = await run('pgrep', ['-P', String(program.child.pid)]);
        process.kill(Number.parseInt(stdout, 10), 'SIGKILL');
        await program.waitFor(/"message":"worker listening"/);
      },
    },
  ],
};

// Neither the provider nor a client can cause an unexpected error in the program. It is put into a gateway in this process.
const unexpected: Course<Patient> = {
  async open(environment, { merchantId, apiKey }) {
    const baseUrl = () => Promise.reject(new TypeError('no address'));
    const metrics = createMetrics('0.0.0');
    const lines: string[] = [];
    const gateway = openGateway(
      { ...loadConfig(environment), provider: { baseUrl, merchantId, apiKey: new Secret(apiKey) } },
      { log: createLog('info', (line) => lines.push(line)), metrics },
    );
    const metricsServer = await startMetricsServer(metrics, { host: '127.0.0.1', port: 0 });
    const query = '{ customer(id: "c1") { id } }';
    const request = new Request('http://gateway.test/graphql', {
      method: 'POST',
      headers,
      body: JSON.stringify({ query }),
    });
    await (await gateway.fetch(request)).text();
    return {
      url: 'http://gateway.test',
      metricsUrl: `${metricsServer.url}/metrics`,
      log: () => lines.join(''),
      close: () => Promise.all([metricsServer.close(), gateway.dispose()]),
    };
  },
  phases: [{ alerts: ['UnexpectedErrors'], provoke: async () => undefined }],
};

const alerts = [
  ...[provider, dependencies, load, instance, fleet].flatMap(({ phases }) => phases),
  ...unexpected.phases,
].flatMap((phase) => phase.alerts);
const executed = new Map<string, ExecutedStep[]>();
const failures: unknown[] = [];

before(async () => {
  // The name of the command in the runbooks.
  const script = `#!/bin/sh\nexec '${process.execPath}' '${resolve('bin/customer-gateway.js')}' "$@"\n`;
  writeFileSync(join(folder, 'customer-gateway'), script, { mode: 0o755 });
  writeFileSync(keysPath, '[]');
  const courses = [
    follow(provider),
    follow(dependencies),
    follow(load),
    follow(instance),
    follow(fleet),
    follow(unexpected),
  ];
  for (const result of await Promise.allSettled(courses)) {
    if (result.status === 'rejected') failures.push(result.reason);
  }
});
after(() => rmSync(folder, { recursive: true }));

test('every fault MUST be provoked', () => {
  if (failures.length > 0) throw new AggregateError(failures);
});

test('each runbook MUST have steps, and all MUST be executed', () => {
  assert.deepEqual(alerts.toSorted(), [...sections.keys()].toSorted());
  for (const alert of sections.keys()) assert.ok(stepsOf(alert).length > 0, alert);
});

for (const alert of alerts) {
  test(`the steps of the runbook of ${alert} MUST show what it says`, () => {
    const steps = executed.get(alert) ?? [];
    assert.equal(steps.length, stepsOf(alert).length);
    for (const { command, expected, printed } of steps) {
      for (const line of expected) {
        const isPrinted = printed.some((text) => patternOf(line).test(text));
        assert.ok(isPrinted, `${command}\n${line}\n\n${printed.join('\n')}`);
      }
    }
  });
}

async function follow<P extends Patient>({ environment = {}, open, phases }: Course<P>): Promise<void> {
  const sandbox = await startSandbox();
  const settings = {
    JUSPAY_BASE_URL: sandbox.url,
    JUSPAY_MERCHANT_ID: sandbox.merchantId,
    JUSPAY_API_KEY: sandbox.apiKey,
    AUTH_MODE: 'none',
    PORT: '0',
    METRICS_PORT: '0',
    ...environment,
  };
  try {
    const patient = await open(settings, sandbox);
    try {
      for (const { alerts: names, fault, provoke = send, code, isLasting = false } of phases) {
        sandbox.disarm();
        if (fault !== undefined) sandbox.arm({ fault, times: Number.POSITIVE_INFINITY });
        do await provoke(patient, sandbox);
        while (code !== undefined && !patient.log().includes(`"code":"${code}"`));
        await Promise.all([executeAll(names, patient, settings), isLasting && send(patient, sandbox)]);
      }
    } finally {
      await patient.close();
    }
  } finally {
    await sandbox.close();
  }
}

async function openProgram(environment: Environment): Promise<ProgramPatient> {
  const program = start(['serve'], environment);
  const [, url = '', metricsUrl = ''] = await program.waitFor(/"url":"([^"]+)","metricsUrl":"([^"]+)"/);
  const close = async () => {
    program.child.kill('SIGKILL');
    await program.exit;
  };
  return { program, url, metricsUrl, log: program.output, close };
}

async function send({ url }: Patient, sandbox: Sandbox, credentials: Environment = {}): Promise<void> {
  const bodies = [0, 1].flatMap((round) => operationsOf(sandbox, round));
  await Promise.all(bodies.map((body) => post(url, body, credentials)));
}

function post(url: string, body: string, credentials: Environment = {}): Promise<string> {
  return textOf(`${url}/graphql`, { method: 'POST', headers: { ...headers, ...credentials }, body });
}

async function textOf(url: string, init: RequestInit = {}): Promise<string> {
  return (await fetch(url, init)).text();
}

/** Executes the steps of runbooks. A command that several of them have runs once. */
async function executeAll(names: readonly string[], patient: Patient, settings: Environment): Promise<void> {
  const logPath = join(folder, `${names[0]}.log`);
  const outputs = new Map<string, readonly string[]>();
  for (const alert of names) {
    const steps: ExecutedStep[] = [];
    executed.set(alert, steps);
    for (const step of stepsOf(alert)) {
      writeFileSync(logPath, patient.log());
      const env = {
        ...settings,
        METRICS: patient.metricsUrl,
        GATEWAY: patient.url,
        LOG: logPath,
        PATH: `${folder}${delimiter}${process.env['PATH']}`,
      };
      const printed = outputs.get(step.command) ?? (await execute(step.command, env));
      outputs.set(step.command, printed);
      steps.push({ ...step, printed });
    }
  }
}

/** @throws if the command fails. */
async function execute(command: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const script = `${functions}\n${command}`;
  const { stdout, stderr } = await run('bash', ['--norc', '-eo', 'pipefail', '-c', script], { env });
  return (stdout + stderr).split('\n').map(plain);
}

function stepsOf(alert: string): Step[] {
  const blocks = (sections.get(alert) ?? '').matchAll(/```sh\n([\s\S]*?)```(?:\n\n```text\n([\s\S]*?)```)?/g);
  return [...blocks].map(([, command = '', lines = '']) => ({
    command,
    expected: lines.split('\n').filter((line) => line !== ''),
  }));
}

/** Without the count that `uniq` prints before a line, and with single blanks. */
function plain(line: string): string {
  return line
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/^\d+ (?=\S)/, '');
}

function patternOf(line: string): RegExp {
  const escaped = plain(line)
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.+')}$`);
}
