import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { CATEGORIES, ERROR_CODES } from '../src/error-codes.ts';
import * as errors from '../src/errors.ts';
import { Discard, HandlerOutcome, Release, RetryIn } from '../src/outcomes.ts';
import { vectors } from './vectors.ts';

interface ErrorVector {
  id: string;
  code: string;
  statuses: number[];
  category: string;
  retryable: boolean;
}

const VECTORS = vectors<ErrorVector>('errors');

test('the vectors are there', () => {
  assert.ok(VECTORS.length >= 25, `${VECTORS.length} vectors`);
});

for (const { id, code, statuses, category, retryable } of VECTORS) {
  test(`errorFor() - vector ${id}`, () => {
    const error = errors.errorFor(code, 'words', { status: statuses[0] });
    assert.equal(CATEGORIES[category as keyof typeof CATEGORIES], error.name);
    assert.equal(retryable, error.retryable);
    assert.equal(code, error.code);
    assert.ok(error instanceof errors.JobwireError);
  });
}

test('each category has a class of its name', () => {
  for (const [code, { category }] of Object.entries(ERROR_CODES)) {
    const { constructor: kind } = errors.errorFor(code);
    assert.equal(CATEGORIES[category], kind.name);
    assert.equal((errors as Record<string, unknown>)[kind.name], kind);
  }
});

test('errorFor() - an unknown code goes by its status, or by retryable where there is none', () => {
  const byStatus = [400, 401, 403, 404, 408, 409, 410, 422, 429, 500, 503, 418].map(
    (status) => errors.errorFor('GREASE', '', { status }).name,
  );
  assert.deepEqual(
    [
      'ValidationError AuthError AuthError NotFoundError UnavailableError ConflictError NotFoundError',
      'ValidationError RateLimitedError UnavailableError UnavailableError JobwireError',
    ]
      .join(' ')
      .split(' '),
    byStatus,
  );
  assert.equal('UnavailableError', errors.errorFor('GREASE', '', { retryable: true }).name);
  assert.equal('JobwireError', errors.errorFor('GREASE').name);
  assert.equal('JobwireError', errors.errorFor('__proto__').name);
});

test('fromResponse() - takes what the server says, and nothing of the wrong type', () => {
  const error = errors.fromResponse(
    {
      code: 'QUEUE_FULL',
      message: 'full',
      details: { queue: 'q' },
      retryable: true,
      retry_after_ms: 250,
    },
    { status: 429, requestId: 'r', retryAfterMs: 1_000 },
  );
  assert.equal('RateLimitedError', error.name);
  assert.deepEqual({ queue: 'q' }, error.details);
  assert.deepEqual(
    [429, 'r', 250, true],
    [error.status, error.requestId, error.retryAfterMs, true],
  );

  const odd = errors.fromResponse(
    { code: 'QUEUE_FULL', message: 5, details: [1], retryable: 'no', retry_after_ms: -1 },
    { retryAfterMs: 1_000 },
  );
  assert.deepEqual(
    ['', {}, true, 1_000],
    [odd.message, odd.details, odd.retryable, odd.retryAfterMs],
  );
  for (const none of [null, undefined, 'text', 5, [], {}, { code: 5 }]) {
    assert.equal('PROTOCOL_ERROR', errors.fromResponse(none).code);
  }
});

test('safeToRetry() - only what was provably not done', () => {
  const codes = Object.keys(ERROR_CODES).filter((code) =>
    errors.safeToRetry(errors.errorFor(code)),
  );
  const expected =
    'CONNECTION_FAILED OVERLOADED QUEUE_FULL QUEUE_PAUSED RATE_LIMITED REQUEST_TIMEOUT SHUTTING_DOWN STORAGE_FULL';
  assert.deepEqual(expected.split(' '), codes.sort());
  assert.equal(false, errors.safeToRetry(new Error('x')));
  assert.equal(false, errors.safeToRetry(undefined));
});

test('isJobwireError() - tells by what an error has, and by its code', () => {
  const error = errors.errorFor('LEASE_LOST', 'gone');
  assert.equal(true, errors.isJobwireError(error));
  assert.equal(true, errors.isJobwireError(error, 'LEASE_LOST'));
  assert.equal(false, errors.isJobwireError(error, 'TIMEOUT'));
  const foreign = Object.assign(new Error('x'), { code: 'ECONNRESET' });
  for (const other of [foreign, null, 'x', {}]) assert.equal(false, errors.isJobwireError(other));
});

test('an error shows its name, its code and its cause', () => {
  const cause = new Error('below');
  const error = errors.errorFor('CONNECTION_FAILED', 'nobody there', { cause });
  assert.equal('CONNECTION_FAILED: nobody there', String(error));
  assert.match(inspect(error), /TransportError: nobody there[\s\S]*CONNECTION_FAILED[\s\S]*below/);
});

test('the outcomes of handlers carry what they were given, and refuse what cannot be', () => {
  assert.equal('why', new Discard('why').reason);
  assert.deepEqual(
    [60_000, 'later'],
    Object.values(new RetryIn({ ms: 60_000, reason: 'later' })).slice(-2),
  );
  assert.equal(0, new Release().delayMs);
  assert.equal(5, new Release({ delayMs: 5 }).delayMs);
  for (const made of [new Discard(), new RetryIn({ ms: 0 }), new Release()]) {
    assert.ok(made instanceof HandlerOutcome);
    assert.equal(false, errors.isJobwireError(made));
  }
  for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => new RetryIn({ ms }), TypeError);
    assert.throws(() => new Release({ delayMs: ms }), TypeError);
  }
});
