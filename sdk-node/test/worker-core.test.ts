/** What a worker decides: the pure part, without sockets, threads or waiting. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorFor } from '../src/errors.ts';
import type { HeartbeatBatchResult, ItemResult, Job } from '../src/models.ts';
import {
  BlockDetector,
  batchesOf,
  canStillLive,
  Hearing,
  heartbeatPause,
  judge,
  newsOf,
  Pacer,
  Slots,
} from '../src/worker-core.ts';
import { Link } from '../src/worker-link.ts';
import { checkOptions, type WorkerOptions } from '../src/worker-options.ts';
import { type Ack, fail, giveBack } from '../src/worker-outcome.ts';

const JOB = { id: 'j1', lease: '1-a', name: 'welcome' } as Job;

function ack(size = 0): Ack {
  return { kind: 'ack', job: JOB, result: undefined, size };
}

function result(id: string, more: Partial<ItemResult> = {}): ItemResult {
  return { id, ok: true, error: null, cancelled: false, ...more } as ItemResult;
}

// --- slots and pulls -----------------------------------------------------------------------------------------------

test('slots are asked for before and held after a pull', () => {
  const slots = new Slots(3);

  assert.equal(slots.ask(), 3);
  assert.equal(slots.ask(), 0);
  slots.answered(3, 2);
  assert.deepEqual([slots.free, slots.held], [1, 2]);
  assert.equal(slots.ask(), 1);
  slots.answered(1, 1);
  assert.equal(slots.free, 0);
  slots.vacate();
  assert.equal(slots.free, 1);
});

test('more jobs than slots are an error and change nothing', () => {
  const slots = new Slots(2);
  slots.ask();

  assert.throws(() => slots.answered(2, 3), /3 jobs/);
  assert.deepEqual([slots.asked, slots.held], [2, 0]);
  assert.throws(() => slots.vacate(), /no slot/);
});

test('a pull is as large as the wire allows', () => {
  assert.equal(new Slots(5000).ask(), 1000);
});

test('a server that holds pulls is asked again at once', () => {
  const pacer = new Pacer();

  for (const found of [0, 0]) {
    assert.equal(pacer.after({ found, elapsedMs: 20_000, waitMs: 20_000, u: 1 }), 0);
  }
  assert.equal(pacer.after({ found: 3, elapsedMs: 0, waitMs: 20_000, u: 1 }), 0);
});

test('early empty answers are asked again ever more slowly', () => {
  const pacer = new Pacer();
  const early = { found: 0, elapsedMs: 0, waitMs: 20_000, u: 1 };

  const delays = Array.from({ length: 7 }, () => pacer.after(early));

  assert.deepEqual(delays, [0, 100, 200, 400, 800, 1000, 1000]);
  assert.equal(pacer.after({ ...early, found: 1 }), 0);
  assert.equal(pacer.after(early), 0);
});

// --- the connection ------------------------------------------------------------------------------------------------

test('the first reconnect is at once and the others grow for ever', () => {
  const link = new Link();
  const lost = errorFor('CONNECTION_LOST');

  const delays = Array.from({ length: 12 }, () => {
    link.failed('fetch', 0);
    return link.delay('fetch', lost, 1);
  });

  assert.deepEqual(delays, [0, 100, 200, 400, 800, ...Array(7).fill(1200)]);
});

test('a wish of the server is waited for', () => {
  const link = new Link();
  link.failed('fetch', 0);

  assert.equal(link.delay('fetch', errorFor('OVERLOADED', '', { retryAfterMs: 9000 }), 0), 9000);
});

test('loss and recovery are told once over all channels', () => {
  const link = new Link();

  assert.equal(link.failed('fetch', 10_000), true);
  assert.equal(link.failed('fetch', 11_000), false);
  assert.equal(link.failed('heartbeat', 12_000), false);
  assert.equal(link.answered('settle', 13_000), null);
  assert.equal(link.answered('fetch', 14_000), null);
  assert.equal(link.answered('heartbeat', 15_500), 5500);
  assert.equal(link.answered('heartbeat', 16_000), null);
  assert.equal(link.failed('settle', 25_000), true);
});

test('a channel that hears of a loss late does not tell it again', () => {
  const link = new Link();
  link.failed('fetch', 10_000);
  link.answered('fetch', 10_100);

  assert.equal(link.failed('heartbeat', 10_200), false);
  assert.equal(link.answered('heartbeat', 10_300), null);
  assert.equal(link.failed('heartbeat', 10_400), false);
  assert.equal(link.failed('heartbeat', 10_500), true); // twice in a row: this is a loss of its own
});

// --- settling ------------------------------------------------------------------------------------------------------

for (const [code, verdict] of [
  ['LEASE_LOST', 'gone'],
  ['JOB_NOT_FOUND', 'gone'],
  ['INVALID_STATE', 'gone'],
  ['STORAGE_UNAVAILABLE', 'again'],
  ['CONNECTION_LOST', 'again'],
  ['TIMEOUT', 'again'],
  ['CLIENT_CLOSED', 'again'],
  ['VALIDATION_ERROR', 'refused'],
] as const) {
  test(`an item that is answered with ${code} is ${verdict}`, () => {
    assert.equal(judge(result('j', { ok: false, error: errorFor(code) })), verdict);
  });
}

test('batches hold one kind each and keep to the limits', () => {
  const many = Array.from({ length: 1001 }, () => ack());
  const big = Array.from({ length: 4 }, () => ack(1_048_576));

  const batches = batchesOf([...many, fail(JOB, 'no'), ...big, giveBack(JOB)]);

  assert.deepEqual(
    batches.map((batch) => [batch.kind, batch.items.length]),
    [
      ['ack', 1000],
      ['ack', 4],
      ['fail', 1],
      ['ack', 1],
      ['release', 1],
    ],
  );
});

test('a lease may outlive its end while the server is out of reach', () => {
  assert.ok(canStillLive(9, 10, 8));
  assert.ok(canStillLive(60, 10, 9));
  assert.ok(!canStillLive(60, 10, 11));
});

// --- heartbeats ----------------------------------------------------------------------------------------------------

test('news counts lost leases only where the heartbeat asked', () => {
  const answer: HeartbeatBatchResult = {
    results: [
      result('a', { ok: false, error: errorFor('LEASE_LOST') }),
      result('b', { cancelled: true }),
    ],
    lost: ['a', 'older'],
    cancelled: ['c'],
    deaf: true,
  };

  const news = newsOf(answer, new Set(['a', 'b']));

  assert.deepEqual([...news.lost], ['a']);
  assert.deepEqual([...news.renewed], ['b']);
  assert.deepEqual([...news.cancelled].sort(), ['b', 'c']);
  assert.deepEqual([news.deaf, news.isNews], [true, true]);
});

test('a renewed lease is no news', () => {
  const answer = { results: [result('a')], lost: [], cancelled: [], deaf: false };

  assert.equal(newsOf(answer, new Set(['a'])).isNews, false);
});

for (const [elapsedMs, held, isNews, expected] of [
  [10_000, true, false, 0], // the server held it for the whole interval: ask again at once
  [3_000, true, true, 0],
  [0, true, true, 500], // news again and again must not become a busy loop
  [100, true, false, 400], // a server that does not hold
  [0, false, false, 10_000],
  [12_000, false, false, 0],
] as const) {
  test(`the next heartbeat is ${expected} ms after one of ${elapsedMs} ms, held ${held}, news ${isNews}`, () => {
    assert.equal(heartbeatPause({ elapsedMs, held, intervalMs: 10_000, isNews }), expected);
  });
}

test('a deaf worker rebuilds at once and then once an interval', () => {
  const hearing = new Hearing(10);

  assert.ok(hearing.mustRebuild({ deaf: true, free: 1, now: 0 }));
  assert.ok(!hearing.mustRebuild({ deaf: true, free: 1, now: 9 }));
  assert.ok(hearing.mustRebuild({ deaf: true, free: 1, now: 10 }));
  assert.ok(!hearing.mustRebuild({ deaf: false, free: 1, now: 30 }));
  assert.ok(!hearing.mustRebuild({ deaf: true, free: 0, now: 30 }));
});

// --- a blocked event loop ------------------------------------------------------------------------------------------

test('a block is told once, and how long it lasted when it is over', () => {
  const detector = new BlockDetector(1000);

  const said = [0, 500, 1000, 1500, 9000].map((now) => detector.check(now));

  assert.deepEqual(said, ['ask', 'wait', 'blocked', 'wait', 'wait']);
  assert.equal(detector.silentMs(9000), 9000);
  assert.equal(detector.answered(9500), 9500);
  assert.equal(detector.silentMs(9600), 0);
  assert.deepEqual(
    [10_000, 10_500, 11_000].map((now) => detector.check(now)),
    ['ask', 'wait', 'blocked'],
  );
});

test('an answer in time is no block', () => {
  const detector = new BlockDetector(1000);
  detector.check(0);

  assert.equal(detector.answered(999), null);
});

// --- options -------------------------------------------------------------------------------------------------------

function settings(changes: Partial<WorkerOptions> = {}): ReturnType<typeof checkOptions> {
  return checkOptions({ queues: ['a', 'b'], ...changes }, () => 'made');
}

test('the defaults are those of all SDKs', () => {
  assert.deepEqual(settings(), {
    queues: ['a', 'b'],
    concurrency: 8,
    leaseMs: 30_000,
    waitMs: 20_000,
    weights: undefined,
    names: undefined,
    heartbeatMs: 10_000,
    graceMs: 30_000,
    workerId: 'made',
    blockWarningMs: 1000,
  });
});

test('a heartbeat is a third of the lease', () => {
  assert.equal(settings({ leaseMs: 3000 }).heartbeatMs, 1000);
});

for (const change of [
  { queues: [] },
  { concurrency: 0 },
  { concurrency: 1.5 },
  { leaseMs: 500 },
  { leaseMs: Number.NaN },
  { waitMs: 61_000 },
  { heartbeatMs: 30_000 },
  { graceMs: -1 },
  { weights: [1] },
  { weights: [1, 0] },
  { workerId: '' },
  { blockWarningMs: 0 },
]) {
  const [name = '', value] = Object.entries(change)[0] ?? [];
  test(`${name} ${JSON.stringify(value)} is refused with what was expected and what came`, () => {
    const said = new RegExp(
      `expected ${name}.*, got ${JSON.stringify(value)?.replace(/[[\]]/g, '\\$&')}`,
    );
    assert.throws(() => settings(change), { name: 'TypeError', message: said });
  });
}
