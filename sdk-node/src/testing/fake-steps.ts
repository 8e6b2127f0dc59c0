/** The steps of a job's life that several operations of the fake server share. */

import type { FakeJob } from './fake-job.ts';
import type { FakeState } from './fake-state.ts';

const ERRORS_KEPT = 20;

/** How an attempt failed: what its history says, and what it means for the job. */
export interface Failing {
  readonly kind: 'error' | 'timeout' | 'lease_expired';
  readonly message: string;
  /** Before the next attempt, if there is one. */
  readonly waitMs: number;
  readonly settledBy: string;
  readonly giveUp?: boolean;
}

/** An attempt failed: the job is tried again, or is a dead letter, or ends cancelled where somebody had asked for that. */
export function failAttempt(state: FakeState, job: FakeJob, failing: Failing): void {
  const { kind, message, waitMs, settledBy, giveUp = false } = failing;
  job.attempt += 1;
  const entry = {
    attempt: job.attempt,
    at: state.now,
    kind,
    message,
    worker_id: job.worker_id,
  };
  job.last_error = message;
  job.errors = [...job.errors, entry].slice(-ERRORS_KEPT);
  if (job.cancel_requested_at !== null) {
    finish(state, job, 'cancelled', { reason: 'cancelled', settledBy });
  } else if (giveUp || job.attempt >= job.max_attempts) {
    const reason = kind === 'lease_expired' ? 'poison' : 'failed';
    finish(state, job, 'dlq', { reason, settledBy });
  } else {
    endLease(state, job, settledBy);
    job.state = waitMs > 0 ? 'delayed' : 'waiting';
    job.run_at = state.now + waitMs;
  }
}

export function endLease(state: FakeState, job: FakeJob, settledBy: string | null): void {
  job.lease_expires_at = null;
  job.settled_by = settledBy;
  job.updated_at = state.now;
}

/** End the job, and what waits for it: completed releases, dlq and cancelled take down (JW-DEP). */
export function finish(
  state: FakeState,
  job: FakeJob,
  end: 'completed' | 'dlq' | 'cancelled',
  { reason = null, settledBy }: { readonly reason?: string | null; readonly settledBy?: string },
): void {
  const isRemoved =
    (end === 'completed' && job.remove_on_complete) || (end === 'dlq' && job.remove_on_fail);
  endLease(state, job, settledBy ?? job.settled_by);
  job.state = isRemoved ? 'removed' : end;
  job.reason = reason;
  job.finished_at = state.now;
  if (end === 'completed') releaseChildren(state, job);
  else takeDownChildren(state, job, end);
}

/** Those that waited for *parent* have one job less to wait for. */
function releaseChildren(state: FakeState, parent: FakeJob): void {
  for (const child of childrenOf(state, parent)) {
    child.pending_parents = Math.max(child.pending_parents - 1, 0);
    if (child.state !== 'blocked' || child.pending_parents > 0) continue;
    child.state = child.run_at > state.now ? 'delayed' : 'waiting';
    child.run_at = Math.max(child.run_at, state.now);
    child.updated_at = state.now;
  }
}

/** Those that waited for *parent* end as it did. */
export function takeDownChildren(
  state: FakeState,
  parent: FakeJob,
  end: 'dlq' | 'cancelled',
): void {
  for (const child of childrenOf(state, parent)) {
    if (child.state !== 'blocked') continue;
    const how = end === 'dlq' ? 'moved to DLQ' : 'was cancelled';
    child.last_error = `parent job '${parent.id}' ${how}`;
    finish(state, child, end, { reason: 'parent_failed' });
  }
}

function childrenOf(state: FakeState, parent: FakeJob): FakeJob[] {
  return [...state.jobs.values()].filter((job) => job.depends_on.includes(parent.id));
}

/** How long the job waits after its next failure (JW-FAIL-3). */
export function backoffMs(state: FakeState, job: FakeJob): number {
  const attempt = job.attempt + 1;
  const base = job.backoff_delay_ms;
  const growth = {
    fixed: base,
    linear: base * attempt,
    exponential: base * 2 ** Math.min(attempt - 1, 63),
  };
  const schedule = job.backoff_schedule_ms;
  const entry = schedule[Math.min(attempt, schedule.length) - 1];
  const delay = Math.min(entry ?? growth[job.backoff], job.backoff_max_ms);
  return delay - Math.trunc(delay * job.jitter * state.random());
}
