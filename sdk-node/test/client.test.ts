/** The client over a transport that is a function: what it repeats, what it waits for, how it ends. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../src/client.ts';
import { errorFor } from '../src/errors.ts';
import type { LogEntry } from '../src/log.ts';
import { type MockHandler, MockTransport } from '../src/mock-transport.ts';
import type { ClientOptions } from '../src/options.ts';
import { clientOn, seam } from './seam.ts';

function setup(handler: MockHandler, options: ClientOptions = {}) {
  const transport = new MockTransport(handler);
  const { runtime, sleeps } = seam();
  return { transport, sleeps, client: clientOn(runtime, { ...options, transport }) };
}

/** Fails with each of *codes*, then answers. */
function failing(codes: string[], answer: Record<string, unknown> = {}): MockHandler {
  const left = [...codes];
  return () => {
    const code = left.shift();
    if (code !== undefined) throw errorFor(code);
    return answer;
  };
}

test('.push() - repeats with the same id, at once and then after sleeps', async () => {
  const codes = ['CONNECTION_LOST', 'CONNECTION_LOST', 'OVERLOADED'];
  const { client, transport, sleeps } = setup(failing(codes, { id: 'id-1', outcome: 'existing' }));

  const pushed = await client.push('q', 'n');

  assert.deepEqual({ id: 'id-1', outcome: 'existing', created: false }, pushed);
  assert.deepEqual([50, 200], sleeps);
  assert.deepEqual(
    ['id-1', 'id-1', 'id-1', 'id-1'],
    transport.requests.map(({ fields }) => fields.id),
  );
});

test('.retry() - is not repeated after a lost answer', async () => {
  const { client, transport } = setup(failing(['TIMEOUT']));

  await assert.rejects(client.retry('a'), { code: 'TIMEOUT' });

  assert.equal(1, transport.requests.length);
});

test('.withOptions() - another number of retries, the same connections', async () => {
  const { client, transport } = setup(failing(['OVERLOADED', 'OVERLOADED']));
  const view = client.withOptions({ retries: 0 });

  await assert.rejects(view.ping(), { code: 'OVERLOADED' });
  await client.withOptions({ retries: 1 }).ping();
  await view.close();

  assert.equal(3, transport.requests.length);
  await assert.rejects(client.ping(), { code: 'CLIENT_CLOSED' });
});

test('a refusal of an argument rejects, and nothing is sent', async () => {
  const { client, transport } = setup(() => ({}));

  await assert.rejects(client.pull([]), { code: 'VALIDATION_ERROR' });
  await assert.rejects(client.push('q', 'n', Number.NaN), { code: 'VALIDATION_ERROR' });

  assert.equal(0, transport.requests.length);
});

test('an aborted signal rejects with its reason, before and during a sleep', async () => {
  const reason = new Error('enough');
  const early = setup(() => ({}));
  await assert.rejects(early.client.ping({ signal: AbortSignal.abort(reason) }), reason);
  assert.equal(0, early.transport.requests.length);

  const controller = new AbortController();
  const client = new Client({
    transport: new MockTransport(() => {
      setImmediate(() => controller.abort(reason));
      throw errorFor('QUEUE_PAUSED', '', { retryAfterMs: 20_000 });
    }),
  });
  await assert.rejects(client.push('q', 'n', 1, { signal: controller.signal }), reason);
});

test('.close() - ends a call that sleeps before its repeat', async () => {
  const client = new Client({
    transport: new MockTransport(() => {
      throw errorFor('QUEUE_PAUSED', '', { retryAfterMs: 20_000 });
    }),
  });
  const call = client.push('q', 'n');
  setImmediate(() => void client.close());
  await assert.rejects(call, { code: 'CLIENT_CLOSED', retryable: false });
  await client.close();
});

test('await using closes', async () => {
  const transport = new MockTransport(() => ({}));
  let kept: Client;
  {
    await using client = new Client({ transport });
    kept = client;
    await client.ping();
  }
  await assert.rejects(kept.ping(), { code: 'CLIENT_CLOSED' });
});

test('.find() - goes through all pages as they are asked for, and stops when its reader does', async () => {
  const pages = [
    { jobs: [{ id: 'a' }, { id: 'b' }], next_cursor: 'c1' },
    { jobs: [], next_cursor: 'c2' },
    { jobs: [{ id: 'c' }], next_cursor: null },
  ];
  const { client, transport } = setup(({ fields }) => {
    const index = Number(String(fields.cursor ?? 'c0').slice(1));
    return pages[index] ?? {};
  });

  const ids: string[] = [];
  for await (const job of client.find({ queue: 'q', pageSize: 2 })) ids.push(job.id);
  assert.deepEqual(['a', 'b', 'c'], ids);
  assert.deepEqual(
    [undefined, 'c1', 'c2'],
    transport.requests.map(({ fields }) => fields.cursor),
  );
  assert.deepEqual(
    [2, 2, 2],
    transport.requests.map(({ fields }) => fields.limit),
  );

  for await (const _ of client.find({ queue: 'q' })) break;
  assert.equal(4, transport.requests.length);
});

test('.pull() - asks again where the server does not hold it open, with one request id', async () => {
  const answers = [{ job: null }, { job: null }, { job: { id: 'a', lease: '1-a' } }];
  const { runtime, sleeps } = seam();
  const transport = Object.assign(new MockTransport(() => answers.shift() ?? { job: null }), {
    polls: true,
  });
  const client = clientOn(runtime, { transport });

  const jobs = await client.pull('q', { waitMs: 20_000 });

  assert.deepEqual(
    ['a'],
    jobs.map(({ id }) => id),
  );
  assert.deepEqual([500, 500], sleeps);
  assert.equal(1, new Set(transport.requests.map(({ fields }) => fields.request_id)).size);
  assert.deepEqual([], await client.pull('q', { waitMs: 600 }));
  assert.deepEqual([500, 100], sleeps.slice(2));
  assert.deepEqual([], await client.pull('q'));
  assert.equal(4, sleeps.length);
});

test('onLog - hears of repeats; the second failure to connect in a row is a warning', async () => {
  const lines: LogEntry[] = [];
  const codes = ['CONNECTION_FAILED', 'CONNECTION_FAILED', 'CONNECTION_LOST'];
  const { client } = setup(failing(codes), { onLog: (line) => lines.push(line), token: 'secret' });

  await client.push('q', 'n', 'payload').catch(() => {}); // the answer has no id, which is of no interest here

  assert.deepEqual(
    ['info', 'warn', 'info'],
    lines.map(({ level }) => level),
  );
  assert.deepEqual(['push', 'CONNECTION_FAILED', 0], Object.values(lines[0]?.fields ?? {}));
  assert.doesNotMatch(JSON.stringify(lines), /secret|payload/);
});

test('onLog - what it throws harms nothing', async () => {
  const { client } = setup(failing(['OVERLOADED']), {
    onLog: () => {
      throw new Error('full');
    },
  });
  await client.ping();
});

test('.pushBatch() - with atomic false an error stands in the place of a refused item', async () => {
  const results = [{ ok: true }, { ok: false, error: { code: 'DUPLICATE_KEY' } }];
  const { client } = setup(() => ({ ids: ['a', null], outcomes: ['created', null], results }));

  const [one, two] = await client.pushBatch('q', [{ name: 'n' }, { name: 'n' }], { atomic: false });

  assert.ok(one && 'outcome' in one);
  assert.ok(two instanceof Error);
});
