/** What the methods send, over either wire, and what they make of answers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutUtf8 } from '../src/fields.ts';
import * as operations from '../src/operations.ts';
import * as reads from '../src/operations-read.ts';
import type { Reply, Request } from '../src/request.ts';

const ID = '0190b6e4-0000-7000-8000-000000000000';
const HELD = { id: ID, lease: '1-a' };

function reply(body: object, more: Partial<Reply> = {}): Reply {
  const text = JSON.stringify(body);
  const empty = { status: null, requestId: null, retryAfterMs: null };
  return { ...empty, body: JSON.parse(text), text, ...more };
}

function http(request: Request): unknown[] {
  const body = request.httpBody();
  return [request.method, request.target, body === null ? null : JSON.parse(body)];
}

function tcp(request: Request): unknown {
  return JSON.parse(request.tcpPayload());
}

test('push() - every option has its name and unit on the wire', () => {
  const item = {
    name: 'n',
    data: { a: 1 },
    priority: -1,
    delayMs: 1.2,
    maxAttempts: 2,
    backoff: 'linear',
    backoffDelayMs: 5,
    backoffScheduleMs: [1, 2],
    backoffMaxMs: 6,
    jitter: 0.5,
    ttlMs: 7,
    timeoutMs: 8,
    uniqueKey: 'k',
    uniqueForMs: 9,
    onConflict: 'ignore',
    tags: ['t'],
    groupId: 'g',
    lifo: true,
    removeOnComplete: true,
    removeOnFail: false,
    customId: 'c',
    metadata: { m: 1 },
    dependsOn: [ID],
    flowId: 'f',
  } as const;
  const given = {
    priority: -1,
    delay_ms: 2,
    max_attempts: 2,
    backoff: 'linear',
    backoff_delay_ms: 5,
    backoff_schedule_ms: [1, 2],
    backoff_max_ms: 6,
    jitter: 0.5,
    ttl_ms: 7,
    timeout_ms: 8,
    unique_key: 'k',
    unique_for_ms: 9,
    on_conflict: 'ignore',
    tags: ['t'],
    group_id: 'g',
    lifo: true,
    remove_on_complete: true,
    remove_on_fail: false,
    custom_id: 'c',
    metadata: { m: 1 },
    depends_on: [ID],
    flow_id: 'f',
  };
  const request = operations.push('a/b', item, ID);
  const head = { id: ID, name: 'n', data: { a: 1 } };
  assert.deepEqual(['POST', '/queues/a%2Fb/jobs', { ...head, ...given }], http(request));
  assert.deepEqual({ queue: 'a/b', ...head, options: given }, tcp(request));
});

test('push() - data left out is null, an id of the caller stays, runAt is an instant', () => {
  const runAt = new Date('2030-01-01T00:00:00Z');
  const request = operations.push('q', { name: 'n', id: 'own', runAt }, ID);
  const expected = { queue: 'q', id: 'own', name: 'n', data: null };
  assert.deepEqual({ ...expected, options: { run_at: '2030-01-01T00:00:00.000Z' } }, tcp(request));
});

test('what cannot be sent is refused before it is', () => {
  const bad: (() => Request)[] = [
    () => operations.push('q', { name: 'n', delayMs: 1, runAt: new Date() }, ID),
    () => operations.push('', { name: 'n' }, ID),
    () => operations.push('..', { name: 'n' }, ID),
    () => operations.push('q\ud800', { name: 'n' }, ID),
    () => operations.push('q', {} as never, ID),
    () => operations.push('q', { name: 'n', delayMs: -1 }, ID),
    () => operations.pull([], {}),
    () => operations.pull('q', { waitMs: 60_001 }),
    () => operations.pull('q', { leaseMs: 999 }),
    () => operations.pull('q', { leaseMs: 43_200_001 }),
    () => operations.heartbeatBatch([], { waitMs: 5 }),
    () => reads.find({ createdAfter: new Date(Number.NaN) }),
    () => reads.updateQueue('q', { leaseMs: 1 }),
    () => reads.getJob({ id: 5 } as never),
  ];
  for (const [index, build] of bad.entries()) {
    assert.throws(build, { code: 'VALIDATION_ERROR' }, `number ${index}`);
  }
  assert.throws(() => operations.push('q', { name: 'n', data: Number.NaN }, ID).httpBody());
});

test('pull() - one queue is `queue`, for RustQueue; several, or weights, are `queues`', () => {
  assert.deepEqual({ queue: 'q', count: 1 }, tcp(operations.pull('q', {})));
  assert.deepEqual({ queue: 'q', count: 1 }, tcp(operations.pull(['q'], { waitMs: 0 })));
  const weighted = operations.pull(['q'], { weights: [1], names: ['n'], workerId: 'w' });
  const expected = { queues: ['q'], count: 1, names: ['n'], worker_id: 'w', weights: [1] };
  assert.deepEqual(expected, tcp(weighted));
  const waiting = operations.pull(['a', 'b'], { waitMs: 5, leaseMs: 1000, requestId: 'r' });
  assert.deepEqual(
    [
      'POST',
      '/pull',
      { queues: ['a', 'b'], count: 1, wait_ms: 5, lease_ms: 1000, request_id: 'r' },
    ],
    http(waiting),
  );
  assert.equal(5, waiting.waitMs);
  const calledOff = waiting.withoutWait();
  assert.equal(0, calledOff.waitMs);
  const { wait_ms: _, ...rest } = tcp(waiting) as Record<string, unknown>;
  assert.deepEqual(rest, tcp(calledOff));
  assert.deepEqual(rest, http(calledOff)[2]);
});

test('what speaks for a job carries its lease', () => {
  assert.deepEqual(HELD, tcp(operations.ack(HELD, {})));
  assert.deepEqual({ ...HELD, result: null }, tcp(operations.ack(HELD, { result: null })));
  assert.deepEqual({ id: ID, lease: '2-b' }, tcp(operations.ack(ID, { lease: '2-b' })));
  assert.deepEqual(['POST', `/jobs/${ID}/ack`, { lease: '1-a' }], http(operations.ack(HELD, {})));
  assert.deepEqual({ ...HELD, delay_ms: 5 }, tcp(operations.release(HELD, 5)));
  assert.deepEqual(HELD, tcp(operations.release(HELD, 0)));
  assert.deepEqual({ ...HELD, lease_ms: 1000 }, tcp(operations.heartbeat(HELD, 1000)));
  const progress = operations.progress(HELD, 5, 'ż'.repeat(1000));
  assert.deepEqual({ ...HELD, progress: 5, message: 'ż'.repeat(512) }, tcp(progress));
  assert.deepEqual({ id: ID }, tcp(reads.cancel(HELD)));
});

test('batches take jobs by themselves, or with what is said of them', () => {
  const acks = operations.ackBatch([HELD, ID, { job: HELD, result: [1] }, { job: ID }]);
  assert.deepEqual({ items: [HELD, { id: ID }, { ...HELD, result: [1] }, { id: ID }] }, tcp(acks));
  const fails = operations.failBatch([{ job: HELD, error: new TypeError('bad'), retryInMs: 5 }]);
  assert.deepEqual({ items: [{ ...HELD, error: 'TypeError: bad', retry_in_ms: 5 }] }, tcp(fails));
  const beats = operations.heartbeatBatch([HELD, { job: ID, leaseMs: 2000 }], {
    worker: { id: 'w', free: 1, lastPullMs: 1.5 },
    waitMs: 10,
  });
  assert.deepEqual(
    {
      items: [HELD, { id: ID, lease_ms: 2000 }],
      worker: { id: 'w', queues: [], free: 1, state: 'running', last_pull_ms: 2 },
      wait_ms: 10,
    },
    tcp(beats),
  );
  const pushes = operations.pushBatch(
    'q',
    [{ name: 'a' }, { name: 'b', lifo: true }],
    false,
    () => ID,
  );
  const [one, two] = (tcp(pushes) as { jobs: object[] }).jobs;
  assert.deepEqual({ id: ID, name: 'a', data: null }, one);
  assert.deepEqual({ id: ID, name: 'b', data: null, options: { lifo: true } }, two);
});

test('errorText() - an Error by name and message, anything else as text, cut to the limit', () => {
  assert.equal('Error', operations.errorText(new Error('')));
  assert.equal('RangeError: far', operations.errorText(new RangeError('far')));
  assert.equal('5', operations.errorText(5));
  assert.equal(10_240, Buffer.byteLength(operations.errorText('ż'.repeat(20_000))));
});

test('cutUtf8() - never inside a character; lone surrogates become escapes', () => {
  assert.deepEqual(
    ['', 'a', 'aż', 'aż', 'aż🎉'],
    [0, 2, 3, 6, 7].map((limit) => cutUtf8('aż🎉', limit)),
  );
  assert.equal('a\\ud800b', cutUtf8('a\ud800b', 100));
});

test('GET and DELETE carry their fields in path and query, quoted', () => {
  const find = reads.find({
    queue: 'a b',
    state: ['dlq', 'delayed'],
    tag: 'ż&=',
    limit: 5,
    cursor: 'c',
  });
  const target = '/jobs?queue=a%20b&state=dlq%2Cdelayed&tag=%C5%BC%26%3D&limit=5&cursor=c';
  assert.deepEqual(['GET', target, null], http(find));
  assert.deepEqual(['dlq', 'delayed'], (tcp(find) as Record<string, unknown>).state);
  assert.deepEqual(['DELETE', `/jobs/${ID}`, null], http(reads.deleteJob(HELD)));
  assert.deepEqual(['GET', '/queues/q/dlq?limit=0', null], http(reads.dlq('q', { limit: 0 })));
  assert.deepEqual(['GET', '/jobs', null], http(reads.find({})));
  const settings = { leaseMs: null, maxLength: 5, retentionDlqMs: null };
  assert.deepEqual(
    ['PATCH', '/queues/q', { lease_ms: null, max_length: 5, retention_dlq_ms: null }],
    http(reads.updateQueue('q', settings)),
  );
  assert.deepEqual(
    ['POST', '/queues/q/dlq/retry', { ids: [ID, ID] }],
    http(reads.retryDlq('q', { ids: [HELD, ID] })),
  );
});

test('.read() - a job of an answer, with its texts', () => {
  const text = `{"ok":true,"jobs":[{"id":"a"},{"id":"b","data": {"n":1.0} ,"result":[1e2],"state":"hibernating","lease":null,"errors":[{"message":"m"}],"created_at":"2026-01-01T00:00:00.5Z"}]}`;
  const [one, two] = operations
    .pull('q', { count: 2 })
    .read({ ...reply({}), body: JSON.parse(text), text });
  assert.deepEqual(['a', null, 'null'], [one?.id, one?.data, one?.rawData]);
  assert.deepEqual(['{"n":1.0}', '[1e2]'], [two?.rawData, two?.rawResult]);
  assert.equal('hibernating', two?.state);
  assert.equal(false, two?.isFinished);
  assert.equal('2026-01-01T00:00:00.500Z', two?.createdAt?.toISOString());
  assert.deepEqual(
    [{ attempt: 0, at: null, kind: 'error', message: 'm', workerId: null }],
    two?.errors,
  );
  assert.deepEqual(
    [3, 'exponential', 1000, 3600000],
    [two?.maxAttempts, two?.backoff, two?.backoffDelayMs, two?.backoffMaxMs],
  );
});

test('.read() - results of batches, with the errors of refused items', () => {
  const error = { code: 'DUPLICATE_KEY', details: { existing_id: 'x' } };
  const pushed = operations
    .pushBatch('q', [], false, () => ID)
    .read(
      reply({
        ok: true,
        ids: ['a', null],
        outcomes: ['created', null],
        results: [{ ok: true }, { ok: false, error }],
      }),
    );
  assert.deepEqual({ id: 'a', outcome: 'created', created: true }, pushed[0]);
  assert.equal('DUPLICATE_KEY', (pushed[1] as { code?: string }).code);
  const acked = operations.ackBatch([]).read(
    reply({
      ok: false,
      error: { code: 'PARTIAL_FAILURE' },
      results: [
        { id: 'a', ok: true, already: true },
        { id: 'b', ok: false, error: { code: 'LEASE_LOST' } },
      ],
    }),
  );
  assert.deepEqual([true, null], [acked[0]?.already, acked[0]?.error]);
  assert.deepEqual(['b', 'LEASE_LOST'], [acked[1]?.id, acked[1]?.error?.code]);
});

test('.read() - answers of RustQueue', () => {
  const failed = operations
    .fail({ job: ID, error: 'x' })
    .read(reply({ ok: true, will_retry: true, next_attempt_at: null }));
  assert.deepEqual({ retry: true, nextAttemptAt: null, already: false }, failed);
  assert.deepEqual({ state: '', already: false }, reads.cancel(ID).read(reply({ ok: true })));
  const ids = operations.pushBatch('q', [], true, () => ID).read(reply({ ok: true, ids: ['a'] }));
  assert.deepEqual([{ id: 'a', outcome: 'created', created: true }], ids);
});

test('.read() - what the server refused, with what the reply adds', () => {
  const refused = reply(
    { ok: false, error: { code: 'QUEUE_FULL', message: 'full' } },
    { status: 429, requestId: 'r', retryAfterMs: 2000 },
  );
  assert.throws(() => reads.ping().read(refused), {
    name: 'RateLimitedError',
    status: 429,
    requestId: 'r',
    retryAfterMs: 2000,
  });
});

test('.read() - an answer that is none is a ProtocolError that names the operation', () => {
  const bad: [Request, object][] = [
    [operations.push('q', { name: 'n' }, ID), { ok: true }],
    [operations.push('q', { name: 'n' }, ID), { ok: true, id: 5 }],
    [operations.pull('q', {}), { ok: true }],
    [operations.pull('q', {}), { ok: true, job: 5 }],
    [operations.pull('q', {}), { ok: true, jobs: [{ name: 'n' }] }],
    [operations.pull('q', {}), { ok: true, jobs: {} }],
    [operations.ackBatch([]), { ok: true, results: null }],
    [operations.ackBatch([]), { ok: true, results: [{}] }],
    [operations.fail({ job: ID, error: 'x' }), { ok: true }],
    [reads.getJob(ID), { ok: true, job: null }],
    [reads.getJob(ID), { ok: true, job: { id: 'a', created_at: 'yesterday' } }],
    [reads.getJob(ID), { ok: true, job: { id: 'a', priority: 'high' } }],
    [reads.stats('q'), { ok: true, counts: null }],
    [reads.stats('q'), { ok: true, counts: [] }],
    [reads.stats('q'), { ok: true, counts: { waiting: 'many' } }],
    [reads.listQueues(), { ok: true }],
    [reads.health(), { ok: true }],
    [reads.ping(), {}],
    [reads.ping(), { ok: 1 }],
  ];
  for (const [request, body] of bad) {
    const name = `${request.op} ${JSON.stringify(body)}`;
    assert.throws(
      () => request.read(reply(body)),
      { name: 'ProtocolError', code: 'PROTOCOL_ERROR' },
      name,
    );
  }
});
