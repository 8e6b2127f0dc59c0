/**
 * What the client takes and gives: jobs, results, queues. Plain immutable data, no code but two tables.
 *
 * Rule 1: durations are milliseconds and end in `Ms`, instants are `Date`, ids opaque strings.
 * Rule 2: what a server leaves out is `null`. A newer server's unknown fields are passed over, its unknown states and
 *         reasons stay strings; nothing here breaks.
 */

import type { STATES } from './error-codes.ts';
import type { JobwireError } from './errors.ts';

/** The states of spec/lifecycle.yaml. */
export type JobState = (typeof STATES)[number];

/** A known state, or one of a newer server; with `string & {}` an editor still suggests the known ones. */
export type AnyJobState = JobState | (string & {});

/**
 * A job that a method speaks of: its id, or anything with an `id`. The `lease` of a pulled job is sent along; without
 * one the job's current lease is meant.
 */
export type JobRef = string | { readonly id: string; readonly lease?: string | null | undefined };

/** One entry of a job's error history. `kind` is error, timeout or lease_expired. */
export interface JobFailure {
  readonly attempt: number;
  readonly at: Date | null;
  readonly kind: string;
  readonly message: string;
  readonly workerId: string | null;
}

/** One progress message. */
export interface LogLine {
  readonly at: Date | null;
  readonly message: string;
}

/**
 * A job as the server answered it; a snapshot, which does not change with the job.
 *
 * `data`, `result` and `metadata` are parsed JSON: an integer beyond 2^53 is the nearest number unless the client has
 * `bigints`. `attempt` counts failed tries, `delivery` counts leases. `lease` is set on pulled jobs only, and every
 * method that is given the job sends it.
 */
export interface Job<T = unknown> {
  readonly id: string;
  readonly queue: string;
  readonly name: string;
  readonly data: T;
  readonly state: AnyJobState;
  readonly priority: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly delivery: number;
  readonly lease: string | null;
  readonly leaseExpiresAt: Date | null;
  readonly runAt: Date | null;
  readonly delayUntil: Date | null;
  readonly createdAt: Date | null;
  readonly updatedAt: Date | null;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly lastHeartbeat: Date | null;
  readonly cancelRequestedAt: Date | null;
  readonly reason: string | null;
  readonly lastError: string | null;
  readonly errors: readonly JobFailure[];
  readonly logs: readonly LogLine[];
  readonly progress: number | null;
  readonly result: unknown;
  readonly metadata: unknown;
  readonly tags: readonly string[];
  readonly dependsOn: readonly string[];
  readonly groupId: string | null;
  readonly flowId: string | null;
  readonly customId: string | null;
  readonly uniqueKey: string | null;
  readonly uniqueForMs: number | null;
  readonly backoff: string;
  readonly backoffDelayMs: number;
  readonly backoffScheduleMs: readonly number[];
  readonly backoffMaxMs: number;
  readonly jitter: number;
  readonly ttlMs: number | null;
  readonly timeoutMs: number | null;
  readonly lifo: boolean;
  readonly removeOnComplete: boolean;
  readonly removeOnFail: boolean;
  readonly workerId: string | null;
  /** The JSON text of `data`, verbatim: number spellings and key order as they were pushed. */
  readonly rawData: string;
  /** The JSON text of `result`, verbatim; `null` when there is none. */
  readonly rawResult: string;
  /** Whether the job has ended: completed, dlq or cancelled. */
  readonly isFinished: boolean;
}

/** The job that a push made or found. */
export interface PushResult {
  readonly id: string;
  /** `created`, `existing` (this id was pushed before, or the key is held and onConflict is ignore) or `replaced`. */
  readonly outcome: string;
  /** Whether this push put a new job in the queue. */
  readonly created: boolean;
}

/**
 * What became of one item of a batch: `ok`, or `error`.
 *
 * `already` is true when the same lease had settled the job the same way before. `retry` and `nextAttemptAt` are those
 * of a FailResult; `leaseExpiresAt` and `cancelled` those of a HeartbeatResult.
 */
export interface ItemResult {
  readonly id: string;
  readonly ok: boolean;
  readonly already: boolean;
  readonly error: JobwireError | null;
  readonly outcome: string | null;
  readonly state: AnyJobState | null;
  readonly retry: boolean | null;
  readonly nextAttemptAt: Date | null;
  readonly leaseExpiresAt: Date | null;
  readonly cancelled: boolean;
}

/** What a fail led to. `nextAttemptAt` is null when the job is ready at once, or will not be tried again. */
export interface FailResult {
  readonly retry: boolean;
  readonly nextAttemptAt: Date | null;
  readonly already: boolean;
}

/** The state a job is in after release, cancel, retry or promote; `already` when the call changed nothing. */
export interface StateResult {
  readonly state: AnyJobState;
  readonly already: boolean;
}

/** The lease's new end; `cancelled` when the job is asked to stop. */
export interface HeartbeatResult {
  readonly leaseExpiresAt: Date | null;
  readonly cancelled: boolean;
}

/**
 * An outcome per item, in order, and what the worker should know.
 *
 * `lost` and `cancelled` are ids of jobs; `deaf` is true when the server has work for this worker, which has free slots
 * and does not ask.
 */
export interface HeartbeatBatchResult {
  readonly results: readonly ItemResult[];
  readonly lost: readonly string[];
  readonly cancelled: readonly string[];
  readonly deaf: boolean;
}

/** What a dead-letter operation did: how many, each one's outcome, and how many dead letters remain. */
export interface BulkResult {
  readonly count: number;
  readonly results: readonly ItemResult[];
  readonly remaining: number;
}

/** Jobs by state. `failed` is always 0; RustQueue's clients expect it. */
export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly completed: number;
  readonly failed: number;
  readonly dlq: number;
  readonly blocked: number;
  readonly cancelled: number;
}

/** Counts of a queue, its pause mode (null when it runs), and the age of its oldest waiting job. */
export interface QueueStats {
  readonly counts: QueueCounts;
  readonly paused: string | null;
  readonly oldestWaitingMs: number | null;
}

/** A queue, and what was set for it; null means the server's default. `listQueues` fills name, counts and paused only. */
export interface QueueInfo {
  readonly name: string;
  readonly counts: QueueCounts;
  readonly paused: string | null;
  readonly oldestWaitingMs: number | null;
  readonly leaseMs: number | null;
  readonly maxLength: number | null;
  readonly retentionCompletedMs: number | null;
  readonly retentionDlqMs: number | null;
  readonly retentionCancelledMs: number | null;
}

/** Some jobs, and where the next page starts. Fewer jobs than asked for, even none, do not mean the end. */
export interface Page<T = unknown> {
  readonly jobs: readonly Job<T>[];
  readonly nextCursor: string | null;
}

/** The jobs of a flow, oldest first, at most 1,000; `summary` counts all of them by state. */
export interface Flow {
  readonly flowId: string;
  readonly jobs: readonly Job[];
  readonly summary: Readonly<Record<string, number>>;
}

/** A worker as the server sees it. `state` is alive, quiet, deaf or lost. */
export interface WorkerInfo {
  readonly id: string;
  readonly queues: readonly string[];
  readonly concurrency: number | null;
  readonly free: number | null;
  readonly held: number;
  readonly state: string;
  readonly client: string | null;
  readonly transport: string | null;
  readonly firstSeenAt: Date | null;
  readonly lastSeenAt: Date | null;
  readonly lastPullAt: Date | null;
}

/** What a worker tells of itself with its heartbeats. */
export interface WorkerReport {
  readonly id: string;
  readonly queues?: readonly string[] | undefined;
  readonly concurrency?: number | undefined;
  /** Slots that wait for a job. */
  readonly free?: number | undefined;
  /** `running`, or `quiet` for one that does not ask for jobs any more. @default 'running' */
  readonly state?: string | undefined;
  /** How long ago it last asked for a job. */
  readonly lastPullMs?: number | undefined;
}

/**
 * The server's state. `status` is healthy, degraded or draining; `durability` what an acknowledged push survives:
 * `fsync` (a power cut), `os-crash-loss` (a killed process), `memory` (nothing).
 */
export interface Health {
  readonly status: string;
  readonly version: string;
  readonly uptimeMs: number;
  readonly durability: string;
  readonly storage: string;
}

/** What the server can do: its name and version, wire versions, capabilities, limits and defaults (in wire units). */
export interface Capabilities {
  readonly name: string;
  readonly version: string;
  readonly wire: readonly number[];
  readonly capabilities: readonly string[];
  readonly limits: Readonly<Record<string, unknown>>;
  readonly defaults: Readonly<Record<string, unknown>>;
}
