import { setTimeout as wait } from 'node:timers/promises';
import { startRedis } from '../redis.ts';
import { type Balance, balanceOf, type Entry, toldOf } from './books.ts';
import type { Client, Mutation, Reply } from './operations.ts';
import type { Program } from './programs.ts';
import { openWorld } from './world.ts';

export interface RunOptions {
  readonly seed: number;
  readonly creates: number;
  readonly updates: number;
  /** Sends an `Idempotency-Key` with each operation. Default `false`. */
  readonly keyed?: boolean;
  readonly uniqueReferences?: boolean;
  readonly providerLoss?: number;
  readonly networkLoss?: number;
}

export interface Report extends Balance {
  /** Operations of unknown outcome that stayed unknown when their persons sent them again after the faults. */
  readonly unsettled: number;
  readonly requests: number;
  readonly requestFaults: number;
  readonly calls: number;
  readonly callFaults: number;
  readonly durationMs: number;
}

const persons = 8;
const defaultLanes = 24;
const updatesOfChain = 4;

/** Sends creates and updates of several persons through a program, and compares all books. */
export async function runProgram(program: Program, options: RunOptions): Promise<Report> {
  const { seed, keyed = false, uniqueReferences = true, providerLoss = 0.2, networkLoss = 0.2 } = options;
  const startedAtMs = performance.now();
  const { instances = 1 } = program;
  const redis = instances > 1 ? await startRedis() : undefined;
  const world = await openWorld({
    seed,
    providerLoss,
    networkLoss,
    networkFaults: program.networkFaults,
    uniqueReferences,
    instances,
    redisUrl: redis?.url,
  });
  const closeWorld = async () => {
    await world.close();
    await redis?.close();
  };
  const opened = await within(limitsMs.open, 'Opening the program', program.open(world)).catch(
    async (error: unknown) => {
      await closeWorld();
      throw error;
    },
  );
  // The keys of persons are equal, as those of apps that count.
  const counters = new Map<number, number>();
  const keyOf = (person: number) => {
    const next = (counters.get(person) ?? 0) + 1;
    counters.set(person, next);
    return keyed ? `operation-${next}` : undefined;
  };
  const entries: (Entry & { readonly client: Client })[] = [];
  let events = 0;
  const execute = async (person: number, mutation: Mutation) => {
    const client = opened.clientOf(person);
    events += 1;
    const startedAt = events;
    const reply = await within(limitsMs.operation, `A mutation of person ${person}`, client.mutate(mutation));
    events += 1;
    entries.push({ mutation, startedAt, endedAt: events, reply, told: toldOf(reply), client });
  };
  try {
    world.sandbox.reset();
    await inLanes(
      Array.from({ length: options.creates }, (_, n) => async () => {
        const input = inputOf(n);
        const person = n % persons;
        await execute(person, { kind: 'create', variables: { input }, key: keyOf(person) });
      }),
      program.lanes,
    );
    const targets = settledReferences(entries);
    await inLanes(
      Array.from({ length: Math.ceil(options.updates / updatesOfChain) }, (_, n) => async () => {
        const id = targets[targetOf(n) % targets.length] ?? '';
        const person = n % persons;
        for (let step = 0; step < updatesOfChain; step += 1) {
          const variables = { id, input: { firstName: `Update ${n} ${step}` } };
          await execute(person, { kind: 'update', variables, key: keyOf(person) });
        }
      }),
      program.lanes,
    );
    await within(limitsMs.heal, 'The last request', world.heal());
    const balance = balanceOf(entries, world.sandbox);
    const calls = world.sandbox.calls.length;
    const callFaults = world.sandbox.calls.filter(({ fault }) => fault !== undefined && fault !== 'slow').length;
    const settled: Entry[] = [];
    for (const entry of entries) {
      const reply = entry.told === 'unknown' ? await repeat(entry) : entry.reply;
      settled.push({ ...entry, reply, told: toldOf(reply) });
    }
    await within(limitsMs.heal, 'The last request', world.heal());
    const last = balanceOf(settled, world.sandbox);
    const counts = world.networks.flatMap((network) => Object.entries(network.counts));
    const sum = (list: typeof counts) => list.reduce((total, [, count]) => total + count, 0);
    return {
      ...balance,
      duplicates: last.duplicates,
      falseFailures: balance.falseFailures + last.falseFailures,
      unexplained: balance.unexplained + last.unexplained,
      lost: balance.lost + last.lost,
      unsettled: last.unknown,
      requests: sum(counts),
      requestFaults: sum(counts.filter(([name]) => name !== 'none')),
      calls,
      callFaults,
      durationMs: Math.round(performance.now() - startedAtMs),
    };
  } finally {
    const close = async () => {
      await opened.close();
      await closeWorld();
    };
    await within(limitsMs.close, 'Closing', close());
  }
}

/** Time limits of the steps: several times what a busy machine needs. If one is exceeded, the run closes what it opened, and fails. */
const limitsMs = { open: 120_000, operation: 240_000, heal: 60_000, close: 60_000 };

async function within<T>(limitMs: number, what: string, result: Promise<T> | T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${limitMs / 1_000} s`)), limitMs);
  });
  try {
    return await Promise.race([result, limit]);
  } finally {
    clearTimeout(timer);
  }
}

const patience = { rounds: 20, pauseMs: 500 };

/** Sends an operation again. While the circuit breaker of the gateway is open, the person tries again later. */
async function repeat({ client, mutation }: { readonly client: Client; readonly mutation: Mutation }): Promise<Reply> {
  for (let left = patience.rounds; ; left -= 1) {
    const reply = await within(limitsMs.operation, 'A repeated mutation', client.mutate(mutation));
    if (left === 0 || reply.result?.code !== 'UPSTREAM_UNAVAILABLE') return reply;
    await wait(patience.pauseMs);
  }
}

/** Creates by their number. Of eight, six have a reference of their own, and two share one: with equal or with other data. */
function inputOf(n: number) {
  const group = Math.floor(n / 8);
  const isShared = n % 8 >= 6;
  const isEqual = isShared && group % 2 === 0;
  return {
    objectReferenceId: isShared ? `shared-${group}@example.com` : `person-${n}@example.com`,
    mobileNumber: '9000000077',
    emailAddress: 'new@example.com',
    firstName: isEqual ? `Equal ${group}` : `Create ${n}`,
  };
}

/**
 * The references of customers whose creates have a known outcome. After an update, the repeat of an unknown create would find a
 * customer with other data.
 */
function settledReferences(entries: readonly Entry[]): string[] {
  const told = { done: new Set<string>(), failed: new Set<string>(), unknown: new Set<string>() };
  for (const { mutation, told: outcome } of entries) {
    if (mutation.kind === 'create') told[outcome].add(mutation.variables.input.objectReferenceId);
  }
  return [...told.done].filter((reference) => !told.unknown.has(reference));
}

/** Of eight chains of updates, two have the same customer. */
const targetOf = (n: number) => (n % 8 === 7 ? n - 1 : n);

/** Runs tasks in their order, several at once. */
async function inLanes(tasks: readonly (() => Promise<void>)[], lanes = defaultLanes): Promise<void> {
  const queue = tasks.values();
  const work = async () => {
    for (const task of queue) await task();
  };
  await Promise.all(Array.from({ length: lanes }, work));
}
