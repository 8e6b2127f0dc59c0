/** Leases of the fake server: jobs are pulled (JW-PULL), and what their workers say about them (JW-ACK, JW-FAIL, JW-LEASE). */

import { DEFAULTS } from '../limits.ts';
import {
  type FakeJob,
  invalidState,
  jobNotFound,
  type Listening,
  leaseLost,
  leaseOf,
} from './fake-job.ts';
import type { Payload } from './fake-json.ts';
import type { FakeState } from './fake-state.ts';
import { backoffMs, endLease, failAttempt, finish } from './fake-steps.ts';

const LOGS_KEPT = 100;
// The operations that answer "already" when the same lease had said the same before.
const REPEATABLE: ReadonlySet<string> = new Set(['ack', 'fail', 'release']);

/** The fields of a pull as `check` gives them. */
export interface PullFields {
  readonly queues: readonly string[];
  readonly count?: number;
  readonly wait_ms?: number;
  readonly lease_ms?: number;
  readonly weights?: readonly number[];
  readonly names?: readonly string[];
  readonly worker_id?: string;
  readonly request_id?: string;
}

/** The job and the lease that a worker speaks of; without a lease it speaks of whichever there is. */
export interface LeaseFields {
  readonly id: string;
  readonly lease?: string;
}

/** Lease up to `count` jobs; a request_id that comes again gets those of its leases that still live. */
export function pull(state: FakeState, fields: PullFields, owner: Listening | null): FakeJob[] {
  const { count = 1, request_id: requestId } = fields;
  const again = requestId === undefined ? [] : claimed(state, requestId);
  for (const job of again) job.owner = owner;
  if (again.length > 0) return again;
  const jobs = ready(state, draw(state, fields), fields.names ?? []).slice(0, count);
  for (const job of jobs) startLease(state, job, fields, owner);
  if (requestId !== undefined && jobs.length > 0) {
    state.claims.set(
      requestId,
      jobs.map((job) => [job.id, job.delivery]),
    );
  }
  return jobs;
}

function claimed(state: FakeState, requestId: string): FakeJob[] {
  const jobs: FakeJob[] = [];
  for (const [id, delivery] of state.claims.get(requestId) ?? []) {
    const job = state.jobs.get(id);
    if (job?.state === 'active' && job.delivery === delivery) jobs.push(job);
  }
  return jobs;
}

/** The queues in the order in which this pull tries them. */
function draw(state: FakeState, { queues, weights }: PullFields): readonly string[] {
  if (weights === undefined) return queues;
  // Efraimidis and Spirakis: sorting by u^(1/w) draws without replacement in proportion to w.
  const drawn = queues.map((queue, at) => ({
    queue,
    u: state.random() ** (1 / (weights[at] ?? 1)),
  }));
  return drawn.sort((one, other) => other.u - one.u).map(({ queue }) => queue);
}

function ready(state: FakeState, queues: readonly string[], names: readonly string[]): FakeJob[] {
  return [...new Set(queues)].flatMap((queue) => {
    const { paused } = state.queue(queue);
    if (paused === 'pull' || paused === 'both') return [];
    const isWanted = (job: FakeJob): boolean =>
      job.state === 'waiting' && (names.length === 0 || names.includes(job.name));
    return state.ofQueue(queue).filter(isWanted).sort(inOrder);
  });
}

/** Priority, then ready time (lifo ahead, newest first), then acceptance. */
function inOrder(one: FakeJob, other: FakeJob): number {
  const time = (job: FakeJob): number => (job.lifo ? -job.run_at : job.run_at);
  return other.priority - one.priority || time(one) - time(other) || one.sequence - other.sequence;
}

function startLease(
  state: FakeState,
  job: FakeJob,
  fields: PullFields,
  owner: Listening | null,
): void {
  job.state = 'active';
  job.delivery += 1;
  job.lease_ms = fields.lease_ms ?? state.queue(job.queue).settings.lease_ms ?? DEFAULTS.lease_ms;
  job.lease_expires_at = state.now + job.lease_ms;
  job.started_at = state.now;
  job.updated_at = state.now;
  job.last_heartbeat = null;
  job.settled_by = null;
  job.worker_id = fields.worker_id ?? null;
  job.owner = owner;
}

/** The job is done; true when this lease had said so before. */
export function ack(
  state: FakeState,
  { id, lease, result = null }: LeaseFields & { readonly result?: Payload | null },
): boolean {
  const { job, already } = speaking(state, 'ack', id, lease);
  if (already) return true;
  job.result = result;
  job.completed_at = state.now;
  finish(state, job, 'completed', { settledBy: 'ack' });
  return false;
}

export interface FailFields extends LeaseFields {
  readonly error?: string;
  readonly retry_in_ms?: number;
  readonly discard?: boolean;
}

/** This attempt failed; true when this lease had said so before. */
export function fail(state: FakeState, fields: FailFields): boolean {
  const { job, already } = speaking(state, 'fail', fields.id, fields.lease);
  if (already) return true;
  failAttempt(state, job, {
    kind: 'error',
    message: fields.error ?? 'unknown error',
    waitMs: fields.retry_in_ms ?? backoffMs(state, job),
    settledBy: 'fail',
    giveUp: fields.discard ?? false,
  });
  return false;
}

/** Give the job back without burning an attempt; true when this lease had done so before. */
export function release(
  state: FakeState,
  { id, lease, delay_ms: delayMs = 0 }: LeaseFields & { readonly delay_ms?: number },
): boolean {
  const { job, already } = speaking(state, 'release', id, lease);
  if (already) return true;
  if (job.cancel_requested_at !== null) {
    finish(state, job, 'cancelled', { reason: 'cancelled', settledBy: 'release' });
    return false;
  }
  endLease(state, job, 'release');
  job.state = delayMs > 0 ? 'delayed' : 'waiting';
  if (delayMs > 0) job.run_at = state.now + delayMs;
  return false;
}

/** The worker lives: its lease lasts its length from now on. */
export function heartbeat(
  state: FakeState,
  { id, lease, lease_ms: leaseMs }: LeaseFields & { readonly lease_ms?: number },
): FakeJob {
  const { job } = speaking(state, 'heartbeat', id, lease);
  job.lease_ms = leaseMs ?? job.lease_ms;
  job.lease_expires_at = state.now + job.lease_ms;
  job.last_heartbeat = state.now;
  job.updated_at = state.now;
  return job;
}

/** How far the handler is, and a line for the log (JW-PROG). */
export function progress(
  state: FakeState,
  fields: LeaseFields & { readonly progress: number; readonly message?: string },
): void {
  const { job } = speaking(state, 'progress', fields.id, fields.lease);
  job.progress = Math.min(fields.progress, 100);
  job.updated_at = state.now;
  if (fields.message === undefined) return;
  job.logs = [...job.logs, { at: state.now, message: fields.message }].slice(-LOGS_KEPT);
}

/** The job, and whether this lease has said the same before; throws when it may not speak (JW-LEASE). */
function speaking(
  state: FakeState,
  operation: string,
  id: string,
  lease: string | undefined,
): { job: FakeJob; already: boolean } {
  const job = state.jobs.get(id);
  if (job === undefined) throw jobNotFound(id);
  const isOurs = lease === undefined || lease === leaseOf(job);
  if (job.state === 'active' && isOurs) return { job, already: false };
  const isRepeat = REPEATABLE.has(operation) && job.settled_by === operation;
  if (lease !== undefined && isOurs && isRepeat) return { job, already: true };
  if (job.state === 'removed') throw jobNotFound(id);
  throw lease === undefined ? invalidState(job, 'Active') : leaseLost(job);
}
