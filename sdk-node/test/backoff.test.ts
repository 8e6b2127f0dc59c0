/** When a call is repeated: sequences, not waits. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delay, RetryPolicy, RetryState, reconnectDelay } from '../src/backoff.ts';
import { errorFor } from '../src/errors.ts';

const LOST = errorFor('CONNECTION_LOST');
const FAILED = errorFor('CONNECTION_FAILED');
const BUSY = errorFor('OVERLOADED');

test('delay() - grows from 100 ms to 2 s, and is uniform below that', () => {
  const longest = [0, 1, 2, 3, 4, 5, 6, 1000].map((attempt) => delay(attempt, 1));
  assert.deepEqual([100, 200, 400, 800, 1600, 2000, 2000, 2000], longest);
  assert.equal(0, delay(5, 0));
  assert.equal(500, delay(5, 0.25));
});

test('reconnectDelay() - the first one is none', () => {
  assert.deepEqual(
    [0, 100, 200],
    [0, 1, 2].map((attempt) => reconnectDelay(attempt, 1)),
  );
});

function waits(state: RetryState, errors: readonly Error[], now = 0): (number | null)[] {
  return errors.map((error) => state.after(error as never, now, 1));
}

test('.after() - the first repeat after a lost answer is at once, after a busy server it is not', () => {
  const policy = new RetryPolicy(5, 30_000);
  assert.deepEqual([0, 100, 200], waits(new RetryState(policy, 'safe'), [LOST, LOST, LOST]));
  assert.deepEqual([100, 200, 400], waits(new RetryState(policy, 'safe'), [BUSY, BUSY, BUSY]));
});

test('.after() - so many repeats and no more, but connections that cannot be made do not count', () => {
  const policy = new RetryPolicy(1, 30_000);
  assert.deepEqual([0, null], waits(new RetryState(policy, 'with_id'), [LOST, LOST]));
  const state = new RetryState(policy, 'with_id');
  assert.deepEqual([0, 100, 200, 400], waits(state, [FAILED, FAILED, FAILED, LOST]));
  assert.equal(null, state.after(LOST, 0, 1));
});

test('.after() - nothing is repeated with 0 retries, nor what is final', () => {
  assert.deepEqual([null], waits(new RetryState(new RetryPolicy(0, 30_000), 'safe'), [FAILED]));
  const state = new RetryState(new RetryPolicy(5, 30_000), 'safe');
  assert.equal(null, state.after(errorFor('LEASE_LOST'), 0, 1));
});

test('.after() - what must not be done twice is repeated only when it was provably not done', () => {
  const policy = new RetryPolicy(5, 30_000);
  assert.deepEqual([null], waits(new RetryState(policy, 'never'), [LOST]));
  assert.deepEqual([null], waits(new RetryState(policy, 'never'), [errorFor('TIMEOUT')]));
  assert.deepEqual([0, 200], waits(new RetryState(policy, 'never'), [FAILED, BUSY]));
});

test('.after() - a repeat starts within the budget, counted from the first failure', () => {
  const state = new RetryState(new RetryPolicy(5, 1_000), 'safe');
  assert.equal(0, state.after(LOST, 5_000, 0));
  assert.equal(0, state.after(LOST, 6_000, 0));
  assert.equal(null, state.after(LOST, 6_001, 0));
});

test('.after() - waits for as long as the server asks, and gives up at once when that is too long', () => {
  const asked = errorFor('QUEUE_PAUSED', '', { retryAfterMs: 1_500 });
  const state = new RetryState(new RetryPolicy(5, 2_000), 'safe');
  assert.deepEqual([1_500], waits(state, [asked]));
  assert.equal(null, state.after(asked, 600, 1));
});
