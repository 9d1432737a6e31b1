import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRandom } from '../fault-injection.ts';
import { type Asked, type Crowd, customer, openCrowd, type Reply, type Upstream } from './crowd.ts';

const named = JSON.stringify({ query: 'query Named { customer(id: "u7") { id firstName } }' });
const one: Asked = { body: named, caller: 'one' };

/** Runs `test` with a provider that holds its responses. */
async function withCrowd(run: (crowd: Crowd) => Promise<void>, environment?: Record<string, string>): Promise<void> {
  const crowd = await openCrowd(environment);
  try {
    await run(crowd);
  } finally {
    await crowd.close();
  }
}

/** Sends operations, and waits until all of them wait for the provider. */
async function gather(crowd: Crowd, asked: readonly Asked[]): Promise<ReturnType<Crowd['send']>[]> {
  const before = crowd.arrivals();
  const sent: ReturnType<Crowd['send']>[] = [];
  for (const each of asked) {
    sent.push(crowd.send(each));
    await crowd.arrived(before + sent.length);
  }
  return sent;
}

const repliesOf = (sent: readonly { readonly reply: Promise<Reply> }[]) => Promise.all(sent.map(({ reply }) => reply));
const operationsOf = ({ log }: Crowd) =>
  log.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ message }) => message === 'operation');
const repeat = (count: number, asked: Asked = one) => Array.from({ length: count }, () => asked);
const found = '{"data":{"customer":{"id":"cth_1","firstName":"Zoë"}}}';

test('equal operations of callers with equal rights MUST share a call and an execution, and each have their own log line', () =>
  withCrowd(async (crowd) => {
    const sent = await gather(crowd, [...repeat(6), ...repeat(6, { ...one, caller: 'two' })]);
    crowd.release(customer);
    const replies = await repliesOf(sent);
    for (const { status, text } of replies) assert.deepEqual([status, text], [200, found]);
    assert.equal(new Set(replies.map(({ requestId }) => requestId)).size, 12);
    assert.deepEqual(crowd.calls, ['GET /customers/u7']);
    // Executed are the operation that makes the call and the first one that joins it.
    assert.equal(crowd.executed(), 2);
    const lines = operationsOf(crowd);
    assert.deepEqual(
      new Set(lines.map(({ requestId }) => requestId)),
      new Set(replies.map(({ requestId }) => requestId)),
    );
    assert.equal(new Set(lines.map(({ caller }) => caller)).size, 2);
    const counts = lines.map(({ gets, sharedReads, outcome, operationName, documentHash }) =>
      JSON.stringify([gets, sharedReads, outcome, operationName, documentHash === lines[0]?.['documentHash']]),
    );
    assert.deepEqual(counts.toSorted(), [...Array(11).fill('[0,1,"OK","Named",true]'), '[1,0,"OK","Named",true]']);
  }));

const different: Readonly<Record<string, Asked>> = {
  'other rights': { ...one, caller: 'reader' },
  'no rights': { ...one, caller: 'nothing' },
  'a customer of its own': { ...one, caller: 'bound' },
  'another customer of its own': { ...one, caller: 'other' },
  'another text': { ...one, body: `${named} ` },
  'another media type': { ...one, headers: ['accept: application/graphql-response+json'] },
  'an Idempotency-Key': { ...one, headers: ['idempotency-key: 8f14e45fceea167a5a36dedd4bea2543'] },
  'a second read': { ...one, body: '{"query":"{ customer(id: \\"u7\\") { id } b: customer(id: \\"u8\\") { id } }"}' },
  'the token': { ...one, body: '{"query":"{ customer(id: \\"u7\\") { id clientAuthToken { token } } }"}' },
};

for (const [what, asked] of Object.entries(different)) {
  test(`an operation with ${what} MUST be executed`, () =>
    withCrowd(async (crowd) => {
      const alone = crowd.send(asked, { door: 'yoga' });
      crowd.release(customer);
      const expected = await alone.reply;
      await crowd.inProgress(0);
      crowd.hold();
      const executedAlone = crowd.executed();
      const sent = await gather(crowd, [...repeat(3), asked]);
      crowd.release(customer);
      const replies = await repliesOf(sent);
      assert.deepEqual({ ...replies[3], requestId: '' }, { ...expected, requestId: '' });
      // Two of the equal ones, and this one as often as alone.
      assert.equal(crowd.executed() - executedAlone, 2 + executedAlone);
    }));
}

test('equal operations with more than one read MUST each be executed', () =>
  withCrowd(async (crowd) => {
    const body = '{"query":"{ customer(id: \\"u7\\") { id } other: customer(id: \\"cth_1\\") { id } }"}';
    const sent = await gather(crowd, repeat(4, { ...one, body }));
    await crowd.held(2);
    crowd.release(customer);
    for (const { text } of await repliesOf(sent)) assert.match(text, /"customer":\{"id":"cth_1"\}/);
    assert.deepEqual(crowd.calls.toSorted(), ['GET /customers/cth_1', 'GET /customers/u7']);
    assert.equal(crowd.executed(), 8);
  }));

test('the line of an operation MUST count its merged reads, executed or not', () =>
  withCrowd(async (crowd) => {
    const body = '{"query":"{ a: customer(id: \\"u7\\") { id } b: customer(id: \\"u7\\") { firstName } }"}';
    const sent = await gather(crowd, repeat(5, { ...one, body }));
    crowd.release(customer);
    await repliesOf(sent);
    assert.deepEqual(
      operationsOf(crowd).map(({ mergedReads }) => mergedReads),
      Array(5).fill(1),
    );
    assert.equal(crowd.executed(), 2);
  }));

/** Answers the call. Asserts that one call has served all operations but those at `places`. */
async function assertServed(
  crowd: Crowd,
  sent: readonly ReturnType<Crowd['send']>[],
  places: readonly number[],
): Promise<void> {
  crowd.release(customer);
  const rest = await repliesOf(sent.filter((_, index) => !places.includes(index)));
  for (const { text } of rest) assert.equal(text, found);
  assert.deepEqual(crowd.calls.splice(0), ['GET /customers/u7']);
  await crowd.inProgress(0);
  crowd.hold();
}

test('each operation MUST keep its own deadline, and the others MUST NOT notice', () =>
  withCrowd(async (crowd) => {
    const impatient = { ...one, headers: ['x-request-timeout-ms: 1500'] };
    // The one that makes the call, the one whose answer is shared, and one that waits for it.
    for (const places of [[0], [1], [2], [0, 1, 2]]) {
      const sent = await gather(
        crowd,
        repeat(5).map((asked, index) => (places.includes(index) ? impatient : asked)),
      );
      const late = await repliesOf(places.map((place) => sent[place] as (typeof sent)[number]));
      for (const { text } of late) assert.match(text, /"code":"UPSTREAM_TIMEOUT".*"requestId":"<id>"/);
      await assertServed(crowd, sent, places);
    }
  }));

test('clients that disconnect MUST NOT take the answer from the others, and the last one MUST end the call', () =>
  withCrowd(async (crowd) => {
    for (const places of [[0], [1], [2], [0, 1], [0, 1, 2, 3]]) {
      const sent = await gather(crowd, repeat(5));
      for (const place of places) sent[place]?.socket.destroy();
      await crowd.inProgress(5 - places.length);
      await assertServed(crowd, sent, places);
    }
    const sent = await gather(crowd, repeat(3));
    for (const { socket } of sent) socket.destroy();
    await crowd.inProgress(0);
    const [next] = await gather(crowd, [one]);
    await crowd.held(2);
    crowd.release(customer);
    assert.equal((await next?.reply)?.text, found);
  }));

test('an operation that starts after a write MUST NOT take an earlier answer', () =>
  withCrowd(async (crowd) => {
    const before = await gather(crowd, repeat(3));
    const update = JSON.stringify({
      query: 'mutation { updateCustomer(id: "u7", input: { firstName: "New" }) { __typename } }',
    });
    const write = crowd.send({ body: update, caller: 'one' });
    await crowd.held(2);
    const after = crowd.send(one);
    await crowd.held(3);
    crowd.release(customer);
    await write.reply;
    assert.deepEqual(
      (await repliesOf([...before, after])).map(({ text }) => text),
      Array(4).fill(found),
    );
    assert.deepEqual(crowd.calls.toSorted(), ['GET /customers/u7', 'GET /customers/u7', 'POST /customers/u7']);
  }));

test('an operation whose document was removed from the manifest MUST NOT take an answer to it', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'manifest-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'documents.json');
  const { query } = JSON.parse(named) as { query: string };
  const id = createHash('sha256').update(query).digest('hex');
  writeFileSync(file, JSON.stringify({ [id]: query }));
  const asked = { ...one, body: JSON.stringify({ documentId: id }) };
  await withCrowd(
    async (crowd) => {
      const sent = await gather(crowd, repeat(3, asked));
      writeFileSync(file, '{}');
      while (!crowd.log.some((line) => line.includes('changed file applied')))
        await new Promise((resolve) => setImmediate(resolve));
      assert.match((await crowd.send(asked).reply).text, /"code":"PERSISTED_QUERY_NOT_FOUND"/);
      crowd.release(customer);
      for (const { text } of await repliesOf(sent)) assert.equal(text, found);
    },
    { PERSISTED_DOCUMENTS_FILE: file },
  );
});

const outcomes: readonly Upstream[] = [
  customer,
  { status: 404, body: '{"status":"NOT_FOUND","error_code":"RESOURCE_NOT_FOUND"}' },
  { status: 200, body: JSON.stringify({ id: 'cth_2', object_reference_id: 'another' }) },
  { status: 200, body: '{' },
  { status: 401, body: '{}' },
  { status: 400, body: '{}' },
];
const bodies = [
  named,
  ' '.repeat(5_000) + named,
  '{"query":"{ customer(id: \\"u7\\") { id dateCreated __typename } }"}',
  '{"query":"{ a: customer(id: \\"u7\\") { id } b: customer(id: \\"u7\\") { ...F } } fragment F on Customer { firstName }"}',
  '{"query":"query ($id: ID!) { customer(id: $id) { id } }","variables":{"id":"u7"}}',
  '{"query":"{ customer(id: \\"u7\\") { id clientAuthToken { token } } }"}',
  '{"query":"{ customers(ids: [\\"u7\\", \\"u7\\"]) { id } }"}',
  '{"query":"{ customer(id: \\"u7\\") { id } other: customer(id: \\"u8\\") { id } }"}',
  '{"query":"{ customer(id: \\"u7\\") { nothing } }"}',
  '{"query":"{ _entities(representations: [{ __typename: \\"Customer\\", id: \\"u7\\" }]) { ... on Customer { id } } }"}',
];
const unknown: Partial<Reply> = {};
const names = ['one', 'two', 'reader', 'nothing', 'bound', 'other'] as const;

test('in generated crowds, each operation MUST get the answer that it gets alone', async (context) => {
  const random = createRandom(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  let executed = 0;
  let executedAlone = 0;
  for (let round = 0; round < 60; round += 1) {
    const outcome = random() < 0.6 ? customer : pick(outcomes);
    const few = [pick(bodies), pick(bodies)];
    const asked = Array.from(
      { length: 4 + Math.floor(random() * 24) },
      (): Asked => ({
        body: pick(few),
        caller: random() < 0.8 ? 'one' : pick(names),
        headers: random() < 0.1 ? ['accept: application/graphql-response+json'] : [],
      }),
    );
    const leaving = new Set([...asked.keys()].filter(() => random() < 0.15));
    const alone = new Map<string, { reply: Reply; executed: number }>();
    await withCrowd(async (crowd) => {
      crowd.release(outcome);
      for (const each of asked) {
        const key = JSON.stringify(each);
        const before = crowd.executed();
        if (!alone.has(key)) {
          const reply = await crowd.send(each, { door: 'yoga' }).reply;
          alone.set(key, { reply, executed: crowd.executed() - before });
        }
        executedAlone += alone.get(key)?.executed ?? 0;
      }
    });
    await withCrowd(async (crowd) => {
      const sent = asked.map((each) => crowd.send(each));
      await crowd.arrived(asked.length);
      const left = sent.filter((_, index) => leaving.has(index));
      await Promise.all(left.map(({ socket }) => socket.closed || once(socket.destroy(), 'close')));
      crowd.release(outcome);
      for (const [index, { reply }] of sent.entries()) {
        if (leaving.has(index)) continue;
        const { requestId: _, ...got } = await reply;
        const { requestId: __, ...expected } = alone.get(JSON.stringify(asked[index]))?.reply ?? unknown;
        assert.deepEqual(got, expected, `round ${round}, operation ${index}`);
      }
      await crowd.inProgress(0);
      executed += crowd.executed();
      const sum = (name: string) => operationsOf(crowd).reduce((total, line) => total + Number(line[name]), 0);
      assert.equal(sum('gets'), crowd.calls.length, 'each call MUST be in the line of one operation');
    });
  }
  context.diagnostic(`${executed} reads executed, ${executedAlone} alone`);
  assert.ok(executed < executedAlone * 0.9);
});
