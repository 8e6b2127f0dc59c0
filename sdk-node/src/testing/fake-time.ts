/** How time passes on the fake server (JW-TIME): what falls due happens in order, each thing at its instant. */

import { DEFAULTS } from '../limits.ts';
import { dueAt, expiresAt, type FakeJob, timeoutAt } from './fake-job.ts';
import type { FakeState } from './fake-state.ts';
import { backoffMs, failAttempt, finish } from './fake-steps.ts';

/** Move the clock on by *ms*. */
export function advance(state: FakeState, ms: number): void {
  const target = state.now + ms;
  for (let job = nextDue(state, target); job !== null; job = nextDue(state, target)) {
    state.now = Math.max(state.now, dueAt(job));
    elapse(state, job);
  }
  state.now = target;
  prune(state);
}

/** What a start gives every active lease: its whole length again (C6). */
export function grace(state: FakeState): void {
  for (const job of state.jobs.values()) {
    if (job.state !== 'active') continue;
    job.lease_expires_at = Math.max(job.lease_expires_at ?? 0, state.now + job.lease_ms);
  }
}

function nextDue(state: FakeState, until: number): FakeJob | null {
  let first: FakeJob | null = null; // the map is in the order of acceptance, so the earlier one of two stays
  for (const job of state.jobs.values()) {
    const at = dueAt(job);
    if (at <= until && (first === null || at < dueAt(first))) first = job;
  }
  return first;
}

function elapse(state: FakeState, job: FakeJob): void {
  if (job.state === 'active') {
    overdue(state, job);
  } else if ((expiresAt(job) ?? Infinity) <= state.now) {
    finish(state, job, 'cancelled', { reason: 'expired' });
  } else {
    job.state = 'waiting';
    job.updated_at = state.now;
  }
}

/** Of lease and timeout, the one that ended first counts (JW-TIME-4). */
function overdue(state: FakeState, job: FakeJob): void {
  state.workers.get(job.worker_id ?? '')?.lost.add(job.id);
  state.notify('lease.lost', job);
  const timeout = timeoutAt(job) ?? Infinity;
  if (timeout <= state.now && timeout < (job.lease_expires_at ?? Infinity)) {
    const message = 'job timed out';
    const waitMs = backoffMs(state, job);
    failAttempt(state, job, { kind: 'timeout', message, waitMs, settledBy: 'timeout' });
  } else {
    const message = 'lease expired (no heartbeat)';
    const settledBy = 'lease_expired';
    failAttempt(state, job, { kind: 'lease_expired', message, waitMs: 0, settledBy });
  }
}

/** Forget tombstones, and finished jobs past their queue's retention. */
function prune(state: FakeState): void {
  for (const job of [...state.jobs.values()]) {
    if (isPast(state, job)) state.jobs.delete(job.id);
  }
}

function isPast(state: FakeState, job: FakeJob): boolean {
  if (job.finished_at === null) return false;
  const holdsKey = state.now < job.created_at + (job.unique_for_ms ?? 0);
  return job.finished_at + keptMs(state, job) <= state.now && !holdsKey;
}

function keptMs(state: FakeState, job: FakeJob): number {
  if (job.state === 'removed') return DEFAULTS.tombstone_ms;
  const name = `retention_${job.state as 'completed' | 'dlq' | 'cancelled'}_ms` as const;
  return state.queue(job.queue).settings[name] ?? DEFAULTS[name];
}
