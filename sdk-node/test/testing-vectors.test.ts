/** The fake server against the tables of the specification: transitions, backoff, fields, bounds, routes. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as asked from '../src/testing/fake-asked.ts';
import { record, required } from '../src/testing/fake-checks.ts';
import { FIELDS } from '../src/testing/fake-fields.ts';
import { type FakeJob, leaseOf, Refused } from '../src/testing/fake-job.ts';
import * as leases from '../src/testing/fake-leases.ts';
import { push } from '../src/testing/fake-push.ts';
import { ROUTES } from '../src/testing/fake-routes.ts';
import { FakeState } from '../src/testing/fake-state.ts';
import { backoffMs } from '../src/testing/fake-steps.ts';
import { HTTP_ONLY, VERSION_2, WITHOUT_TOKEN } from '../src/testing/fake-tcp.ts';
import { advance } from '../src/testing/fake-time.ts';
import { ROOT, vectors } from './vectors.ts';

const T0 = 1_000_000_000_000;
const SOON_MS = 1000;
const LATER_MS = 1_000_000;
const WIRE = yaml('spec/wire.yaml');
const NOT_PLAYED = ['metrics', 'openapi', 'docs']; // pages for people and Prometheus

/** A YAML file of the repository, read by its Python: this package has no dependencies, in tests neither. */
// biome-ignore lint/suspicious/noExplicitAny: what is in it the tests say.
function yaml(path: string): any {
  const code = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))';
  const file = fileURLToPath(new URL(path, ROOT));
  const python = fileURLToPath(new URL('.venv/bin/python', ROOT));
  return JSON.parse(execFileSync(python, ['-c', code, file], { encoding: 'utf8' }));
}

// --- the lifecycle ---------------------------------------------------------------------------------------------------

interface Transition {
  readonly id: string;
  readonly operation: string;
  readonly state: FakeJob['state'];
  readonly lease: 'none' | 'current' | 'stale';
  readonly settled_by: string | null;
  readonly effect: 'move' | 'stay' | 'already' | 'skip' | 'refuse';
  readonly to: string[];
  readonly error: string | null;
}

/** A job in the state that a vector asks for, with a parent in another queue, and deadlines that are far away. */
function jobFor(state: FakeState, row: Transition): { job: FakeJob; parent: string } {
  const parent = push(state, 'parents', { name: 'parent' }).id;
  const { id } = push(state, 'q', { name: 'job', depends_on: [parent] });
  const job = state.jobs.get(id) as FakeJob;
  const isFinished = ['completed', 'dlq', 'cancelled'].includes(row.state);
  Object.assign(job, {
    state: row.state,
    settled_by: row.settled_by,
    delivery: 2,
    started_at: T0,
    run_at: row.state === 'delayed' ? T0 + LATER_MS : T0,
    lease_expires_at: row.state === 'active' ? T0 + LATER_MS : null,
    finished_at: isFinished ? T0 : null,
  });
  return { job, parent };
}

function endParent(state: FakeState, end: (lease: leases.LeaseFields) => void): void {
  const [parent] = leases.pull(state, { queues: ['parents'] }, null);
  assert.ok(parent);
  end({ id: parent.id });
}

/** What carries an operation out; true says "already". */
const CALLS: Record<
  string,
  (state: FakeState, job: FakeJob, lease: { lease?: string }) => unknown
> = {
  pull: (state) => leases.pull(state, { queues: ['q'] }, null),
  ack: (state, { id }, lease) => leases.ack(state, { id, ...lease }),
  fail: (state, { id }, lease) => leases.fail(state, { id, ...lease }),
  release: (state, { id }, lease) => leases.release(state, { id, ...lease }),
  heartbeat: (state, { id }, lease) => leases.heartbeat(state, { id, ...lease }),
  progress: (state, { id }, lease) => leases.progress(state, { id, progress: 1, ...lease }),
  cancel: (state, { id }) => asked.cancel(state, id).already,
  retry: (state, { id }) => asked.retry(state, id),
  promote: (state, { id }) => asked.promote(state, id).already,
  delete: (state, { id }) => asked.remove(state, id),
  due: (state, job) => elapseTo(state, job, { run_at: T0 + SOON_MS }),
  ttl: (state, job) => elapseTo(state, job, { ttl_ms: SOON_MS }),
  lease_expired: (state, job) =>
    elapseTo(state, job, job.state === 'active' ? { lease_expires_at: T0 + SOON_MS } : {}),
  timeout: (state, job) => elapseTo(state, job, { timeout_ms: SOON_MS }),
  parents_completed: (state) => endParent(state, (parent) => leases.ack(state, parent)),
  parent_failed: (state) =>
    endParent(state, (parent) => leases.fail(state, { ...parent, discard: true })),
};

function elapseTo(state: FakeState, job: FakeJob, deadline: Partial<FakeJob>): void {
  Object.assign(job, deadline);
  advance(state, SOON_MS);
}

test('every operation does to a job in every state what the vectors say', () => {
  const rows = vectors<Transition>('transitions');
  assert.ok(rows.length > 200);
  for (const row of rows) {
    const state = new FakeState(T0);
    const { job } = jobFor(state, row);
    const lease = {
      none: {},
      current: { lease: leaseOf(job) },
      stale: { lease: leaseOf({ ...job, delivery: 1 }) },
    };
    const call = (): unknown => CALLS[row.operation]?.(state, job, lease[row.lease]);
    if (row.effect === 'refuse') {
      assert.throws(call, (error) => error instanceof Refused && error.code === row.error, row.id);
      assert.equal(row.state, job.state, row.id);
      continue;
    }
    const isAlready = call() === true;
    const to = row.operation === 'delete' ? ['removed'] : row.to;
    const allowed: string[] = row.effect === 'move' ? to : [row.state];
    assert.ok(allowed.includes(job.state), `${row.id}: ${job.state}`);
    assert.equal(row.effect === 'already', isAlready, row.id);
  }
});

test('a failure waits as long as the vectors say', () => {
  const rows = vectors<FakeJob & { n: number; u: number; delay_ms: number; id: string }>('backoff');
  assert.ok(rows.length > 50);
  for (const { n, u, delay_ms: expected, id, ...options } of rows) {
    const state = new FakeState(T0);
    Object.defineProperty(state, 'random', { value: () => u });
    const job = { ...options, attempt: n - 1 } as FakeJob;
    assert.equal(expected, backoffMs(state, job), id);
  }
});

// --- fields and routes -----------------------------------------------------------------------------------------------

interface Rule {
  readonly type: string;
  readonly required?: boolean;
  readonly min?: number | string;
  readonly max?: number | string;
}

interface Row {
  readonly fields: Record<string, Rule> & { '...'?: string };
  readonly http?: string[];
  readonly wire?: number;
  readonly auth?: boolean;
}

const PLAYED = Object.entries<Row>(WIRE.operations).filter(([name]) => !NOT_PLAYED.includes(name));

function fieldsOf({ fields: { '...': rest = '', ...own } }: Row): [string, Rule][] {
  const name = rest.replace('object ', '');
  const options = name === 'PushItem' ? WIRE.objects.JobOptions : {};
  return Object.entries({ ...own, ...(rest ? WIRE.objects[name] : {}), ...options });
}

function sorted(names: Iterable<string>): string[] {
  return [...names].sort();
}

test('every operation is played, with every field, required where the spec says', () => {
  assert.deepEqual(sorted(PLAYED.map(([name]) => name)), sorted(Object.keys(FIELDS)));
  for (const [name, row] of PLAYED) {
    const wanted = fieldsOf(row).map(([field, rule]) => `${field} ${rule.required ?? false}`);
    const played = Object.entries(FIELDS[name] ?? {});
    assert.deepEqual(
      sorted(wanted),
      sorted(played.map(([field, { isRequired }]) => `${field} ${isRequired}`)),
      name,
    );
  }
});

test('integers are held to the bounds of the spec', () => {
  let checked = 0;
  for (const [name, row] of PLAYED) {
    for (const [field, rule] of fieldsOf(row)) {
      if (rule.type !== 'int' || rule.max === undefined) continue;
      const [low, high] = [rule.min, rule.max].map((end) => WIRE.limits[end ?? ''] ?? end);
      const one = record({ x: required(FIELDS[name]?.[field]?.check ?? assert.fail(field)) });
      for (const x of [low, high]) assert.deepEqual({ x }, one({ x }, ''), `${name}.${field}`);
      for (const x of [low - 1, high + 1]) assert.throws(() => one({ x }, ''), Refused, name);
      checked += 1;
    }
  }
  assert.ok(checked > 20);
});

test('every route and command of the spec is there', () => {
  const routes = PLAYED.flatMap(([name, row]) => (row.http ?? []).map((line) => [line, name]));
  const named = (is: (row: Row) => boolean): string[] =>
    sorted(PLAYED.filter(([, row]) => is(row)).map(([name]) => name));

  assert.deepEqual(Object.fromEntries(routes), ROUTES);
  assert.deepEqual(
    named((row) => row.wire === undefined),
    sorted(HTTP_ONLY),
  );
  assert.deepEqual(
    named((row) => row.wire === 2),
    sorted(VERSION_2),
  );
  assert.deepEqual(
    named((row) => row.auth === false && row.wire !== undefined),
    sorted(WITHOUT_TOKEN),
  );
});
