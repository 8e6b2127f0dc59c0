/**
 * The data of the fake server: one job, and what the wire shows of it.
 *
 * Rule 1: no behaviour beyond what follows from the fields; they have the names of the wire.
 * Rule 2: instants are whole milliseconds since the Unix epoch, durations whole milliseconds.
 */

import type { Payload } from './fake-json.ts';

/** An object of an answer. */
export type Answer = Record<string, unknown>;

/** Whoever hears of a job's cancellation and of its lost lease: a TCP session. */
export interface Listening {
  notify(notice: Answer): void;
}

/** What a push says of a job, every option with its value. */
export interface PushedJob {
  readonly id: string;
  readonly queue: string;
  readonly name: string;
  readonly created_at: number;
  readonly data: Payload | null;
  readonly priority: number;
  readonly max_attempts: number;
  readonly backoff: 'fixed' | 'linear' | 'exponential';
  readonly backoff_delay_ms: number;
  readonly backoff_schedule_ms: readonly number[];
  readonly backoff_max_ms: number;
  readonly jitter: number;
  readonly timeout_ms: number | null;
  readonly unique_key: string | null;
  readonly unique_for_ms: number | null;
  readonly tags: readonly string[];
  readonly group_id: string | null;
  readonly flow_id: string | null;
  readonly custom_id: string | null;
  readonly metadata: Payload | undefined;
  readonly depends_on: readonly string[];
  readonly lifo: boolean;
  readonly remove_on_complete: boolean;
  readonly remove_on_fail: boolean;
}

export type State =
  | 'waiting'
  | 'delayed'
  | 'blocked'
  | 'active'
  | 'completed'
  | 'dlq'
  | 'cancelled'
  | 'removed';

/** A job as the fake keeps it; every field of the wire's Job, and what the queue needs besides. */
export interface FakeJob extends PushedJob {
  /** Its place among all jobs that were ever accepted. */
  readonly sequence: number;
  // --- changed by transitions ---
  state: State;
  ttl_ms: number | null;
  run_at: number;
  updated_at: number;
  reason: string | null;
  attempt: number;
  last_error: string | null;
  errors: readonly Failure[];
  progress: number | null;
  logs: readonly { readonly at: number; readonly message: string }[];
  result: Payload | null;
  completed_at: number | null;
  finished_at: number | null;
  depth: number;
  pending_parents: number;
  // --- the lease ---
  delivery: number;
  lease_ms: number;
  lease_expires_at: number | null;
  started_at: number | null;
  last_heartbeat: number | null;
  worker_id: string | null;
  cancel_requested_at: number | null;
  settled_by: string | null;
  /** The TCP session that pulled it and hears its notices; null over HTTP. */
  owner: Listening | null;
}

interface Failure {
  readonly attempt: number;
  readonly at: number;
  readonly kind: string;
  readonly message: string;
  readonly worker_id: string | null;
}

// What the wire calls a time is kept as milliseconds and shown as RFC 3339 text.
const INSTANTS = [
  'run_at',
  'created_at',
  'updated_at',
  'started_at',
  'completed_at',
  'last_heartbeat',
  'lease_expires_at',
  'cancel_requested_at',
] as const satisfies (keyof FakeJob)[];

const SHOWN = [
  'id',
  'custom_id',
  'name',
  'queue',
  'data',
  'result',
  'state',
  'reason',
  'progress',
  'priority',
  'max_attempts',
  'attempt',
  'delivery',
  'backoff',
  'backoff_delay_ms',
  'backoff_schedule_ms',
  'backoff_max_ms',
  'jitter',
  'last_error',
  'ttl_ms',
  'timeout_ms',
  'unique_key',
  'unique_for_ms',
  'tags',
  'group_id',
  'flow_id',
  'depends_on',
  'lifo',
  'remove_on_complete',
  'remove_on_fail',
  'worker_id',
  'metadata',
] as const satisfies (keyof FakeJob)[];

/** An error with a code of spec/errors.yaml; `status` only where it is not the first one of the code. */
export class Refused extends Error {
  override readonly name = 'Refused';
  code: string;
  readonly details: Answer | null;
  readonly status: number | null;
  readonly retryAfterMs: number | null;

  constructor(
    code: string,
    message: string,
    details: Answer | null = null,
    more: { readonly status?: number; readonly retryAfterMs?: number } = {},
  ) {
    super(message);
    this.code = code;
    this.details = details;
    this.status = more.status ?? null;
    this.retryAfterMs = more.retryAfterMs ?? null;
  }
}

/** What the worker of the last delivery shows; opaque to everyone else. */
export function leaseOf(job: FakeJob): string {
  return `${job.delivery.toString(16)}-${job.id.slice(-12)}`;
}

export function isFinished(job: FakeJob): boolean {
  return ['completed', 'dlq', 'cancelled', 'removed'].includes(job.state);
}

/** When the timeout of the delivery is over; null for a job without one. */
export function timeoutAt(job: FakeJob): number | null {
  return job.timeout_ms === null || job.started_at === null
    ? null
    : job.started_at + job.timeout_ms;
}

export function expiresAt(job: FakeJob): number | null {
  return job.ttl_ms === null ? null : job.created_at + job.ttl_ms;
}

/** The next instant at which time alone changes this job; Infinity when there is none. */
export function dueAt(job: FakeJob): number {
  if (job.state === 'waiting') return expiresAt(job) ?? Infinity;
  if (job.state === 'delayed') return Math.min(job.run_at, expiresAt(job) ?? Infinity);
  if (job.state !== 'active') return Infinity;
  return Math.min(job.lease_expires_at ?? Infinity, timeoutAt(job) ?? Infinity);
}

/** RFC 3339 in UTC with milliseconds; null stays null. */
export function instantText(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

/** The Job object of the wire; with its lease only in the answer of a pull. */
export function jobView(job: FakeJob, { lease = false } = {}): Answer {
  const view: Answer = {};
  for (const name of SHOWN) view[name] = job[name];
  for (const name of INSTANTS) view[name] = instantText(job[name]);
  if (job.state !== 'active') view.last_heartbeat = null;
  // Whether its ready time is still to come (JW-JOB-7).
  const isHeldBack =
    job.state === 'delayed' || (job.state === 'blocked' && job.run_at > job.created_at);
  view.delay_until = isHeldBack ? instantText(job.run_at) : null;
  view.logs = job.logs.map(({ at, message }) => ({ timestamp: instantText(at), message }));
  view.errors = job.errors.map((entry) => ({ ...entry, at: instantText(entry.at) }));
  if (lease) view.lease = leaseOf(job);
  return view;
}

export function jobNotFound(id: string): Refused {
  return new Refused('JOB_NOT_FOUND', `Job '${id}' not found`, { id });
}

export function leaseLost({ id, state }: FakeJob): Refused {
  const message = `The lease on job '${id}' is over (the job is ${state}); drop the result`;
  return new Refused('LEASE_LOST', message, { id, state });
}

export function invalidState({ id, state }: FakeJob, expected: string): Refused {
  const message = `Job is in invalid state '${capitalized(state)}' for operation (expected: ${expected})`;
  return new Refused('INVALID_STATE', message, { id, state, expected });
}

/** A value that breaks a rule (400), or a field of the wrong shape (422). */
export function invalid(
  pointer: string,
  message: string,
  details: Answer = {},
  status = 400,
): Refused {
  const text = `Validation error: ${message}`;
  return new Refused('VALIDATION_ERROR', text, { pointer, ...details }, { status });
}

export function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
