/** What anybody may ask of a job of the fake server: to stop it, to run it again or now, to forget it, to show it. */

import {
  capitalized,
  type FakeJob,
  invalidState,
  isFinished,
  jobNotFound,
  type State,
} from './fake-job.ts';
import { keyTaken } from './fake-push.ts';
import type { FakeState } from './fake-state.ts';
import { finish, takeDownChildren } from './fake-steps.ts';

/** Which states an operation accepts, and in which it answers "already" (spec/lifecycle.yaml). */
const ACCEPTED = {
  cancel: { moves: ['waiting', 'delayed', 'blocked', 'active'], already: ['cancelled'] },
  retry: { moves: ['dlq', 'cancelled'], already: [] },
  promote: { moves: ['delayed'], already: ['waiting'] },
  delete: {
    moves: ['waiting', 'delayed', 'blocked', 'completed', 'dlq', 'cancelled'],
    already: [],
  },
} as const satisfies Record<string, { moves: readonly State[]; already: readonly State[] }>;

const IN_WORDS = ['waiting', 'delayed', 'blocked', 'active', 'completed', 'dlq', 'cancelled'];

interface Asked {
  readonly job: FakeJob;
  /** It had been done before, or need not be done. */
  readonly already: boolean;
}

/** Stop the job, or ask its worker to (JW-CANCEL). */
export function cancel(state: FakeState, id: string): Asked {
  const { job, already } = asked(state, 'cancel', id);
  if (already || job.cancel_requested_at !== null) return { job, already: true };
  if (job.state !== 'active') {
    finish(state, job, 'cancelled', { reason: 'cancelled' });
    return { job, already };
  }
  job.cancel_requested_at = state.now;
  job.updated_at = state.now;
  state.workers.get(job.worker_id ?? '')?.cancelled.add(id);
  state.notify('job.cancel', job);
  return { job, already };
}

/** Run a dead letter or a cancelled job again, attempts from the start (JW-RETRY). */
export function retry(state: FakeState, id: string): FakeJob {
  const { job } = asked(state, 'retry', id);
  const holder = state.holder(job.queue, job.unique_key);
  if (holder !== null && holder !== job) throw keyTaken(holder, '/id');
  const waits =
    job.state === 'cancelled' && job.pending_parents > 0 && job.reason !== 'parent_failed';
  job.state = waits ? 'blocked' : 'waiting';
  job.run_at = state.now;
  job.updated_at = state.now;
  job.attempt = 0;
  job.reason = null;
  job.ttl_ms = null;
  job.completed_at = null;
  job.finished_at = null;
  job.cancel_requested_at = null;
  job.settled_by = null;
  state.takeKey(job);
  return job;
}

/** A delayed job is ready now. */
export function promote(state: FakeState, id: string): Asked {
  const { job, already } = asked(state, 'promote', id);
  if (!already) {
    job.state = 'waiting';
    job.run_at = state.now;
    job.updated_at = state.now;
  }
  return { job, already };
}

/** Forget the job; whoever waits for it is cancelled (JW-DEL). */
export function remove(state: FakeState, id: string): void {
  const { job } = asked(state, 'delete', id);
  const wasFinished = isFinished(job);
  job.state = 'removed';
  job.finished_at = state.now;
  job.updated_at = state.now;
  if (!wasFinished) takeDownChildren(state, job, 'cancelled');
}

/** The job; throws JOB_NOT_FOUND also for one that was removed. */
export function get(state: FakeState, id: string): FakeJob {
  const job = state.jobs.get(id);
  if (job === undefined || job.state === 'removed') throw jobNotFound(id);
  return job;
}

/** The dead letters of a queue, oldest first. */
export function oldestDead(state: FakeState, queue: string): FakeJob[] {
  const dead = state.ofQueue(queue).filter((job) => job.state === 'dlq');
  const end = (job: FakeJob): number => job.finished_at ?? 0;
  return dead.sort((one, other) => end(one) - end(other) || one.sequence - other.sequence);
}

/** Throws for an id that is none of a dead letter of this queue (JW-DLQ-4). */
export function checkDeadLetter(state: FakeState, queue: string, id: string): void {
  const job = get(state, id);
  if (job.queue !== queue) throw jobNotFound(id);
  if (job.state !== 'dlq') throw invalidState(job, 'Dlq');
}

function asked(state: FakeState, operation: keyof typeof ACCEPTED, id: string): Asked {
  const job = get(state, id);
  const moves: readonly string[] = ACCEPTED[operation].moves;
  const already: readonly string[] = ACCEPTED[operation].already;
  if (already.includes(job.state)) return { job, already: true };
  if (moves.includes(job.state)) return { job, already: false };
  const allowed = IN_WORDS.filter((one) => moves.includes(one) || already.includes(one));
  throw invalidState(job, allowed.map(capitalized).join(' or '));
}
