/** How a handler's end becomes an outcome. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '../src/models.ts';
import { Discard, Release, RetryIn } from '../src/outcomes.ts';
import { HeldJob, HeldJobs } from '../src/worker-held.ts';
import {
  type Ending,
  errorText,
  type Fail,
  fail,
  giveBack,
  Stopped,
  type StopReason,
  settlementOf,
  unknownName,
} from '../src/worker-outcome.ts';

const JOB = { id: 'j1', lease: '1-a', name: 'welcome', data: { n: 1 } } as unknown as Job;

function returned(value: unknown): Ending {
  return { returned: true, value };
}

function threw(error: unknown): Ending {
  return { returned: false, error };
}

function failure(ending: Ending, reason: StopReason | null = null): Fail {
  const settlement = settlementOf(JOB, ending, reason);
  assert.equal(settlement?.kind, 'fail');
  return settlement as Fail;
}

// --- how a handler ended -------------------------------------------------------------------------------------------

test('a returned value is the result of an ack', () => {
  const kept = { kind: 'ack', job: JOB };

  assert.deepEqual(settlementOf(JOB, returned({ n: 1 }), null), {
    ...kept,
    result: { n: 1 },
    size: 7,
  });
  assert.deepEqual(settlementOf(JOB, returned(null), null), { ...kept, result: null, size: 4 });
  assert.deepEqual(settlementOf(JOB, returned(undefined), null), {
    ...kept,
    result: undefined,
    size: 0,
  });
});

for (const [what, value, words] of [
  ['a function', () => {}, /cannot be kept/],
  ['a number that is none', { deep: [Number.NaN] }, /cannot be kept.*NaN/],
  ['something too large', 'x'.repeat(1_048_577), /1048579 bytes/],
] as const) {
  test(`${what} as a result fails the job alone`, () => {
    assert.match(failure(returned(value)).error, words);
  });
}

test('a result that throws when it is written fails the job alone', () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const odd = {
    toJSON() {
      throw new RangeError('odd');
    },
  };

  assert.match(failure(returned(circle)).error, /cannot be kept/);
  assert.match(failure(returned(odd)).error, /cannot be kept: RangeError: odd/);
});

for (const [outcome, expected] of [
  [new Discard('bad address'), fail(JOB, 'bad address', { discard: true })],
  [new Discard(), fail(JOB, 'discarded by the handler', { discard: true })],
  [
    new RetryIn({ ms: 60_000, reason: 'rate limit' }),
    fail(JOB, 'rate limit', { retryInMs: 60_000 }),
  ],
  [new RetryIn({ ms: 5 }), fail(JOB, 'retry in 5 ms', { retryInMs: 5 })],
  [new Release({ delayMs: 5000 }), giveBack(JOB, 5000)],
] as const) {
  test(`a handler that throws ${outcome.name} says how its job goes on: ${expected.kind}`, () => {
    assert.deepEqual(settlementOf(JOB, threw(outcome), null), expected);
  });
}

test('a reason that is an error is written as one', () => {
  const reason = new RangeError('no') as unknown as string;

  assert.equal(failure(threw(new Discard(reason))).error, 'RangeError: no');
});

test('an error fails the job with type, message, causes and stack', () => {
  class LostMail extends Error {}
  const settlement = failure(
    threw(new LostMail('no such user', { cause: new RangeError('connect refused') })),
  );

  assert.match(
    settlement.error,
    /^LostMail: no such user\ncaused by RangeError: connect refused\n\n {4}at /,
  );
  assert.match(settlement.error, /worker-outcome\.test/);
  assert.doesNotMatch(settlement.error, /node:/);
  assert.deepEqual([settlement.retryInMs, settlement.discard], [undefined, undefined]);
});

for (const [what, thrown, said] of [
  ['text', 'boom', 'boom'],
  ['nothing', undefined, ''],
  ['an object without a prototype', Object.create(null), '(it could not be made a text)'],
] as const) {
  test(`${what} that is thrown fails the job`, () => {
    assert.equal(failure(threw(thrown)).error, said);
  });
}

for (const ending of [returned(1), threw(new Error()), threw(new Discard())]) {
  test('nothing is said after a lost lease', () => {
    assert.equal(settlementOf(JOB, ending, 'lease_lost'), null);
  });
}

for (const [reason, expected] of [
  ['cancel', giveBack(JOB)],
  ['shutdown', giveBack(JOB)],
  ['timeout', fail(JOB, 'job timed out')],
  ['lease_lost', null],
] as const) {
  test(`a handler that was stopped for ${reason} settles as that asks`, async () => {
    const held = new HeldJob(JOB, 0);
    held.stop(reason);
    const byCheck = settlementOf(JOB, threw(new Stopped(reason)), reason);
    const byReason = settlementOf(JOB, threw(held.signal.reason), reason);
    const byTimer = await sleep(1, 0, { signal: held.signal }).catch((error: unknown) =>
      settlementOf(JOB, threw(error), reason),
    );

    assert.deepEqual(byCheck, expected);
    assert.deepEqual(byReason, expected);
    assert.deepEqual(byTimer, expected);
  });
}

test("an abortion of the handler's own is an ordinary failure", () => {
  const error = new DOMException('mine', 'AbortError');

  assert.match(failure(threw(error)).error, /^AbortError: mine/);
  assert.match(failure(threw(new Stopped())).error, /nobody/);
});

test('what breaks during shutdown burns no attempt', () => {
  assert.deepEqual(settlementOf(JOB, threw(new Error('gone')), 'shutdown'), giveBack(JOB));
});

test('a value returned after a cancel is still an ack', () => {
  assert.equal(settlementOf(JOB, returned(undefined), 'cancel')?.kind, 'ack');
});

test('a job without a handler fails so that a newer worker can take it', () => {
  const verdict = unknownName(JOB, ['b', 'a']);

  assert.equal(verdict.error, "no handler for 'welcome' on this worker; it has: a, b");
  assert.equal(verdict.discard, undefined);
});

test('an error text keeps its head and its innermost frames within the limit', () => {
  const error = new Error('ü'.repeat(20_000));
  const text = errorText(error);

  assert.ok(Buffer.byteLength(text) <= 10_240);
  assert.match(text, /^Error: üü/);
  assert.match(text, /\n\n {4}at .*worker-outcome\.test/);
});

test('an error that cannot be read still fails its job', () => {
  const error = new Error('x');
  Object.defineProperty(error, 'message', {
    get() {
      throw new RangeError('no');
    },
  });

  assert.match(errorText(error), /could not be read/);
});

// --- held jobs -----------------------------------------------------------------------------------------------------

test('the first reason to stop stays, but for a lost lease', () => {
  const held = new HeldJob(JOB, 0);

  assert.equal(held.stop('shutdown'), true);
  assert.equal(held.stop('cancel'), false);
  assert.equal(held.stop('lease_lost'), true);
  assert.equal(held.stop('lease_lost'), false);
  assert.equal(held.reason, 'lease_lost');
  assert.equal((held.signal.reason as Stopped).reason, 'shutdown');
});

test('a lease that is lost is no more kept alive, and told as removed once', () => {
  const held = new HeldJob(JOB, 0);
  const jobs = new HeldJobs();
  const seen: string[] = [];
  jobs.watcher = {
    added: (one) => seen.push(`+${one.job.id}`),
    removed: (one) => seen.push(`-${one.job.id}`),
  };

  jobs.add(held);
  held.stop('lease_lost');
  const leased = jobs.leased();
  jobs.remove(held);

  assert.deepEqual(leased, []);
  assert.deepEqual(seen, ['+j1', '-j1']);
  assert.equal(jobs.size, 0);
});
