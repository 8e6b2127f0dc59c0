/** Settling: batches that gather by themselves, partial failures, and what is dropped. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorFor, type JobwireError } from '../src/errors.ts';
import type { ItemResult, Job } from '../src/models.ts';
import { type Ack, fail, giveBack } from '../src/worker-outcome.ts';
import { Bench } from './worker-bench.ts';

function ack(job: Job, result?: unknown): Ack {
  return { kind: 'ack', job, result, size: 0 };
}

/** A gate that lets one call through at a time. */
function turnstile(): { gate: () => Promise<void>; open: () => void } {
  const waiting: (() => void)[] = [];
  let isOpen = false;
  return {
    gate: () => (isOpen ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    open: () => {
      isOpen = true;
      for (const resolve of waiting) resolve();
    },
  };
}

test('a single ack leaves at once and the others gather behind it', async () => {
  const bench = new Bench();
  const { gate, open } = turnstile();
  bench.peer.gate = gate;
  const [first, ...others] = ['0', '1', '2', '3', '4'].map((id) => bench.hold(id)) as [
    Job,
    ...Job[],
  ];
  bench.settler.put(ack(first));
  const done = bench.settles(5);
  await bench.changes.until(() => bench.peer.calls.length === 1);

  for (const job of others) bench.settler.put(ack(job));
  open();
  await done;

  assert.deepEqual(bench.peer.calls, [
    ['ackBatch', '0'],
    ['ackBatch', '1', '2', '3', '4'],
  ]);
});

test('a partial failure concerns its own item only', async () => {
  const bench = new Bench();
  bench.peer.refused = { lost: 'LEASE_LOST', busy: 'STORAGE_UNAVAILABLE' };
  for (const id of ['good', 'lost', 'busy']) bench.settler.put(ack(bench.hold(id)));
  void bench.changes
    .until(() => bench.settled.length === 2)
    .then(() => {
      bench.peer.refused = {};
    });

  await bench.settles(3);

  assert.deepEqual(bench.settled, ['good', 'lost', 'busy']);
  assert.deepEqual(bench.peer.calls[0], ['ackBatch', 'good', 'lost', 'busy']);
  assert.ok(bench.peer.calls.slice(1).every((call) => call.join() === 'ackBatch,busy'));
  assert.ok(
    bench.said.some((line) => line.startsWith('outcome dropped, the lease is lost: LEASE_LOST')),
  );
});

test('an item that has to be sent again is sent ever more slowly', async () => {
  const bench = new Bench();
  bench.peer.refused = { busy: 'STORAGE_UNAVAILABLE' };
  bench.settler.put(ack(bench.hold('busy')));
  void bench.changes
    .until(() => bench.peer.calls.length === 6)
    .then(() => {
      bench.peer.refused = {};
    });

  await bench.settles(1);

  assert.deepEqual(bench.slept.slice(0, 4), [100, 200, 400, 800]);
});

test('nothing is sent once the lease is known to be lost', async () => {
  const bench = new Bench();
  const [lost, good] = [bench.hold('lost'), bench.hold('good')];
  bench.held.get(lost)?.stop('lease_lost');
  bench.settler.put(ack(lost));
  bench.settler.put(ack(good));

  await bench.settles(2);

  assert.deepEqual(bench.peer.calls, [['ackBatch', 'good']]);
});

test('an ack waits for a server that is away however long', async () => {
  const bench = new Bench();
  const job = bench.hold('job');
  bench.peer.errors = Array.from({ length: 8 }, () => errorFor('CONNECTION_FAILED'));
  bench.now = 3_600_000; // far beyond the lease; nobody has been reached since it began
  bench.settler.put(ack(job, 1));

  await bench.settles(1);

  assert.equal(bench.peer.calls.length, 9);
  assert.deepEqual(bench.slept, [100, 200, 400, 800, 1200, 1200, 1200]); // the first repeat is made at once
});

test('an outcome is dropped when the server was reached after the end of the lease', async () => {
  const bench = new Bench();
  const job = bench.hold('job', 30_000);
  bench.now = 31_000;
  bench.link.answered('heartbeat');
  bench.settler.put(ack(job));

  await bench.settles(1);

  assert.deepEqual(bench.peer.calls, []);
  assert.deepEqual(bench.said, ['outcome dropped, the lease is over']);
});

test('one item that spoils a batch is found and its job fails', async () => {
  const bench = new Bench();
  const [good, bad] = [bench.hold('good'), bench.hold('bad')];
  bench.peer.errors = [errorFor('VALIDATION_ERROR')];
  bench.peer.refused = { bad: 'VALIDATION_ERROR' };
  bench.settler.put(ack(good));
  bench.settler.put(ack(bad, 'x'));
  void bench.changes
    .until(() => bench.peer.calls.some(([op]) => op === 'failBatch'))
    .then(() => {
      bench.peer.refused = {};
    });

  await bench.settles(2);

  assert.deepEqual(bench.peer.calls.slice(0, 4), [
    ['ackBatch', 'good', 'bad'],
    ['ackBatch', 'good'],
    ['ackBatch', 'bad'],
    ['failBatch', 'bad'],
  ]);
});

test('an answer with too few results settles nothing by guess', async () => {
  const bench = new Bench();
  const answers = [[], [{ id: 'job', ok: true, error: null }]] as unknown as ItemResult[][];
  bench.peer.ackBatch = async () => answers.shift() ?? [];
  bench.settler.put(ack(bench.hold('job')));

  await bench.settles(1);

  assert.match(bench.peer.calls[0]?.join() ?? '', /failBatch,job/);
});

test('a server without batches of failures gets them one by one', async () => {
  const bench = new Bench();
  bench.peer.errors = [errorFor('UNKNOWN_COMMAND')];
  for (const id of ['a', 'b']) bench.settler.put(fail(bench.hold(id), 'no'));

  await bench.settles(2);

  assert.deepEqual(bench.peer.calls, [
    ['failBatch', 'a', 'b'],
    ['fail', 'a'],
    ['fail', 'b'],
  ]);
});

test('releases go one by one and do not hold each other up', async () => {
  const bench = new Bench();
  bench.peer.refused = { a: 'LEASE_LOST' };
  for (const id of ['a', 'b']) bench.settler.put(giveBack(bench.hold(id)));

  await bench.settles(2);

  assert.deepEqual(bench.peer.calls, [
    ['release', 'a'],
    ['release', 'b'],
  ]);
});

test('releases to a server that is away are not sent in a circle', async () => {
  const bench = new Bench();
  bench.peer.errors = Array.from({ length: 4 }, () => errorFor('CONNECTION_FAILED'));
  for (const id of ['a', 'b']) bench.settler.put(giveBack(bench.hold(id)));

  await bench.settles(2);

  assert.deepEqual(
    bench.peer.calls.map((call) => call[1]),
    ['a', 'a', 'a', 'a', 'a', 'b'],
  );
  assert.deepEqual(bench.slept, [100, 200, 400]);
});

test('a settlement survives a bug of its loop', async () => {
  const bench = new Bench();
  bench.peer.errors = [new RangeError('a bug') as unknown as JobwireError];
  bench.settler.put(ack(bench.hold('job')));

  await assert.rejects(bench.settler.run(bench.ending.signal), /a bug/);
  await bench.settles(1);

  assert.deepEqual(bench.settled, ['job']);
});
