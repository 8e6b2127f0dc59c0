/** Pushes to the fake server (JW-PUSH, JW-UNIQ, JW-DEP). A push that is refused throws Refused and changes nothing. */

import { DEFAULTS } from '../limits.ts';
import { capitalized, type FakeJob, invalid, isFinished, Refused } from './fake-job.ts';
import { Payload } from './fake-json.ts';
import type { FakeState } from './fake-state.ts';
import { finish } from './fake-steps.ts';

const DAG_DEPTH = 100;
const FULL_RETRY_MS = 1000;
const NO_DATA = new Payload('{}', 1);

/** A PushItem as `check` gives it. */
export interface PushFields extends Partial<Omit<FakeJob, 'data' | 'metadata'>> {
  readonly name: string;
  readonly data?: Payload | null;
  readonly metadata?: Payload;
  readonly delay_ms?: number;
  readonly on_conflict?: 'reject' | 'ignore' | 'replace';
}

export interface Pushed {
  readonly id: string;
  readonly outcome: 'created' | 'existing' | 'replaced';
}

/** Insert one job, or answer with the one that is there already; *pointer* is where the job stands in the request. */
export function push(state: FakeState, queue: string, item: PushFields, pointer = ''): Pushed {
  const id = item.id ?? state.newId();
  const known = state.jobs.get(id);
  if (known !== undefined) return repeated(known, queue, item, pointer);
  refusePaused(state, queue, pointer);
  const holder = state.holder(queue, item.unique_key ?? null);
  if (holder !== null) {
    const answer = conflict(holder, item.on_conflict ?? 'reject', pointer);
    if (answer !== null) return answer;
  }
  refuseFull(state, queue, pointer, holder === null ? 0 : 1);
  const job = newJob(state, id, queue, item);
  attachParents(state, job, pointer);
  if (holder !== null) finish(state, holder, 'cancelled', { reason: 'replaced' });
  if (job.pending_parents > 0) job.state = 'blocked';
  state.jobs.set(id, job);
  state.takeKey(job);
  return { id, outcome: holder === null ? 'created' : 'replaced' };
}

/** Insert all or none (JW-PUSH-6); the refusal of one item names it by its pointer. */
export function pushAll(state: FakeState, queue: string, items: readonly PushFields[]): Pushed[] {
  const order = parentsFirst(items);
  const stuck = items.findIndex((_, index) => !order.includes(index));
  if (stuck >= 0) throw circular(stuck);
  const restore = snapshot(state);
  const pushed = new Map<number, Pushed>();
  try {
    for (const index of order) {
      pushed.set(index, push(state, queue, items[index] as PushFields, `/jobs/${index}`));
    }
  } catch (error) {
    restore();
    throw error;
  }
  return items.map((_, index) => pushed.get(index) as Pushed);
}

/** A function that puts everything back that a push can change. */
function snapshot(state: FakeState): () => void {
  const jobs = [...state.jobs.values()].map((job) => [job, { ...job }] as const);
  const keys = new Map(state.keys);
  const notices = [...state.notices];
  return () => {
    state.jobs = new Map(jobs.map(([job, fields]) => [job.id, Object.assign(job, fields)]));
    state.keys = keys;
    state.notices = notices;
  };
}

function repeated(known: FakeJob, queue: string, item: PushFields, pointer: string): Pushed {
  const data = dataOf(item);
  const isSame =
    known.queue === queue && known.name === item.name && known.data?.text === data?.text;
  if (isSame || known.state === 'removed') return { id: known.id, outcome: 'existing' };
  const message = `Job '${known.id}' exists with another queue, name or data`;
  throw new Refused('ID_CONFLICT', message, { id: known.id, pointer: `${pointer}/id` });
}

/** What becomes of a push whose key is taken; null when it replaces the holder. */
function conflict(holder: FakeJob, onConflict: string, pointer: string): Pushed | null {
  if (onConflict === 'ignore') return { id: holder.id, outcome: 'existing' };
  const canGo = ['waiting', 'delayed', 'blocked'].includes(holder.state);
  if (onConflict === 'replace' && canGo) return null;
  throw keyTaken(holder, `${pointer}/unique_key`);
}

export function keyTaken(holder: FakeJob, pointer: string): Refused {
  const message = `Duplicate unique key '${holder.unique_key}'`;
  return new Refused('DUPLICATE_KEY', message, { existing_id: holder.id, pointer });
}

function refusePaused(state: FakeState, queue: string, pointer: string): void {
  const { paused } = state.queue(queue);
  if (paused !== 'push' && paused !== 'both') return;
  const details = { queue, pointer: pointer || '/queue' };
  throw new Refused('QUEUE_PAUSED', `Queue '${queue}' is paused`, details);
}

function refuseFull(state: FakeState, queue: string, pointer: string, freed: number): void {
  const limit = state.queue(queue).settings.max_length;
  if (limit === null) return;
  const unfinished = state.ofQueue(queue).filter((job) => !isFinished(job)).length;
  if (unfinished - freed < limit) return;
  throw new Refused(
    'QUEUE_FULL',
    `Queue '${queue}' holds ${limit} unfinished jobs`,
    { queue, limit, pointer: pointer || '/queue' },
    { retryAfterMs: FULL_RETRY_MS },
  );
}

function dataOf({ data }: PushFields): Payload | null {
  return data === undefined ? NO_DATA : data;
}

function newJob(state: FakeState, id: string, queue: string, item: PushFields): FakeJob {
  const { on_conflict: _, delay_ms: delayMs = 0, ...kept } = item;
  const runAt = Math.max(state.now, item.run_at ?? state.now + delayMs);
  state.sequence += 1;
  return {
    ...UNTOUCHED,
    ...kept,
    id,
    queue,
    data: dataOf(item),
    metadata: item.metadata,
    max_attempts: Math.max(1, item.max_attempts ?? DEFAULTS.max_attempts),
    sequence: state.sequence,
    created_at: state.now,
    updated_at: state.now,
    run_at: runAt,
    state: runAt > state.now ? 'delayed' : 'waiting',
  };
}

/** What a job is whose push gave nothing, and that nothing has happened to. */
const UNTOUCHED = {
  priority: DEFAULTS.priority,
  backoff: DEFAULTS.backoff,
  backoff_delay_ms: DEFAULTS.backoff_delay_ms,
  backoff_schedule_ms: [],
  backoff_max_ms: DEFAULTS.backoff_max_ms,
  jitter: DEFAULTS.jitter,
  ttl_ms: null,
  timeout_ms: null,
  unique_key: null,
  unique_for_ms: null,
  tags: [],
  group_id: null,
  flow_id: null,
  custom_id: null,
  depends_on: [],
  lifo: false,
  remove_on_complete: false,
  remove_on_fail: false,
  reason: null,
  attempt: 0,
  last_error: null,
  errors: [],
  progress: null,
  logs: [],
  result: null,
  completed_at: null,
  finished_at: null,
  depth: 0,
  pending_parents: 0,
  delivery: 0,
  lease_ms: 0,
  lease_expires_at: null,
  started_at: null,
  last_heartbeat: null,
  worker_id: null,
  cancel_requested_at: null,
  settled_by: null,
  owner: null,
} as const;

function attachParents(state: FakeState, job: FakeJob, pointer: string): void {
  for (const [index, id] of job.depends_on.entries()) {
    const at = `${pointer}/depends_on/${index}`;
    const parent = state.jobs.get(id);
    const isGone = parent?.state === 'removed' && parent.completed_at === null;
    if (parent === undefined || isGone) {
      throw invalid(at, `Dependency parent job '${id}' not found`);
    }
    if (parent.state === 'dlq' || parent.state === 'cancelled') {
      const end = capitalized(parent.state);
      throw invalid(at, `Dependency parent job '${id}' is in terminal state '${end}'`);
    }
    job.pending_parents += isFinished(parent) ? 0 : 1;
    job.depth = Math.max(job.depth, parent.depth + 1);
  }
  if (job.depth > DAG_DEPTH) {
    const message = `Dependency chain exceeds maximum depth of ${DAG_DEPTH}`;
    throw invalid(`${pointer}/depends_on`, message, { limit: DAG_DEPTH });
  }
}

/**
 * The indexes of a batch so that parents come before their children, otherwise in the order given. Left out are those that
 * wait for each other in a circle (JW-DEP-3), or for such jobs.
 */
export function parentsFirst(items: readonly PushFields[]): number[] {
  const place = new Map(items.map((item, index) => [item.id, index]));
  const waits = items.map(({ depends_on: parents = [] }) =>
    parents.map((id) => place.get(id)).filter((at) => at !== undefined),
  );
  const done = new Set<number>();
  for (let before = -1; before < done.size; ) {
    before = done.size;
    const ready = [...items.keys()].filter(
      (at) => !done.has(at) && waits[at]?.every((parent) => done.has(parent)),
    );
    for (const at of ready) done.add(at);
  }
  return [...done];
}

export function circular(index: number): Refused {
  return invalid(`/jobs/${index}/depends_on`, 'Circular dependency detected');
}
