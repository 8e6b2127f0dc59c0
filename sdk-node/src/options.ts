/**
 * The options of a client and of its methods.
 *
 * Rule: durations are milliseconds and end in `Ms`; they are sent as whole milliseconds, rounded up. What is left out or
 * undefined is not sent, and the server's default holds.
 */

import type { ConnectionOptions } from 'node:tls';
import type { LogCallback } from './log.ts';
import type { AnyJobState, JobRef, WorkerReport } from './models.ts';
import type { Transport } from './transport.ts';

/** What `tls.connect` takes and a client may set: authorities, a certificate of its own, the name to verify. */
export type TlsOptions = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'pfx' | 'rejectUnauthorized' | 'servername' | 'minVersion'
>;

/** How a client connects and repeats. */
export interface ClientOptions {
  /**
   * `http://`, `https://`, `tcp://` or `tcps://`; the scheme picks the transport.
   * @default the environment's JOBWIRE_URL, else `http://localhost:6790`
   */
  readonly url?: string | undefined;
  /** The bearer token. It is never logged and never follows a redirect. @default the environment's JOBWIRE_TOKEN */
  readonly token?: string | undefined;
  /** For one try of a call; a waiting call gets its `waitMs` on top. @default 30_000 */
  readonly timeoutMs?: number | undefined;
  /** To make a connection. @default 5_000 */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * How often a call that may be repeated is repeated; 0 switches this off. Connections that cannot be made do not
   * count, they are tried again until the budget is used up. @default 5
   */
  readonly retries?: number | undefined;
  /** How long after its first failure a call may be repeated. @default 30_000 */
  readonly retryBudgetMs?: number | undefined;
  /** For `https` and `tcps`. @default certificates are verified against those that Node.js trusts */
  readonly tls?: TlsOptions | undefined;
  /** What the server shows for this client. @default 'jobwire-node' */
  readonly clientName?: string | undefined;
  /**
   * Read integers of payloads beyond 2^53 as `bigint`, so that none of their digits is lost; smaller ones stay numbers.
   * A `bigint` is always sent as an integer. @default false: they are read as the nearest number
   */
  readonly bigints?: boolean | undefined;
  /** Told what goes wrong and is mended: repeats, reconnects, the life of workers. @default silence */
  readonly onLog?: LogCallback | undefined;
  /** In place of a connection to *url*; see MockTransport. */
  readonly transport?: Transport | undefined;
}

/** What `withOptions` can change. */
export type CallSettings = Pick<ClientOptions, 'timeoutMs' | 'retries' | 'retryBudgetMs'>;

/** Options of every method. */
export interface CallOptions {
  /** Ends the call: it rejects with `signal.reason`. Whether the server has carried it out is then unknown. */
  readonly signal?: AbortSignal | undefined;
}

/** What a pushed job can be given. */
export interface JobOptions {
  /** A UUID. The same id again answers with that job and makes no second one. @default one made by the client */
  readonly id?: string | undefined;
  /** Higher goes first. @default 0 */
  readonly priority?: number | undefined;
  /** How long until it may run; not together with `runAt`. @default 0 */
  readonly delayMs?: number | undefined;
  /** When it may run. */
  readonly runAt?: Date | undefined;
  /** Tries before it is a dead letter. @default 3 */
  readonly maxAttempts?: number | undefined;
  /** How the wait before a repeat grows. @default 'exponential' */
  readonly backoff?: 'fixed' | 'linear' | 'exponential' | undefined;
  /** The unit of the backoff. @default 1_000 */
  readonly backoffDelayMs?: number | undefined;
  /** The waits before each repeat, in place of `backoff`; the last one holds for all that follow. */
  readonly backoffScheduleMs?: readonly number[] | undefined;
  /** The most that the backoff waits. @default 3_600_000 */
  readonly backoffMaxMs?: number | undefined;
  /** 0 to 1: how much of the wait is left to chance. @default 0 */
  readonly jitter?: number | undefined;
  /** How long it may wait for a worker before it is given up. @default for ever */
  readonly ttlMs?: number | undefined;
  /** How long one try may take. @default no limit */
  readonly timeoutMs?: number | undefined;
  /** No second unfinished job of the queue may have it. */
  readonly uniqueKey?: string | undefined;
  /** Nor for this long after the push, even when the job has ended; needs `uniqueKey`. */
  readonly uniqueForMs?: number | undefined;
  /** What a taken key leads to; needs `uniqueKey`. @default 'reject' */
  readonly onConflict?: 'reject' | 'ignore' | 'replace' | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly groupId?: string | undefined;
  /** Ahead of all jobs of its priority, the newest first. @default false */
  readonly lifo?: boolean | undefined;
  /** @default false */
  readonly removeOnComplete?: boolean | undefined;
  /** @default false */
  readonly removeOnFail?: boolean | undefined;
  /** A name of yours, to find it by. */
  readonly customId?: string | undefined;
  /** JSON of at most 64 KiB that travels with the job. */
  readonly metadata?: unknown;
  /** Ids of jobs that must be completed first. */
  readonly dependsOn?: readonly string[] | undefined;
  /** A name that ties jobs together. */
  readonly flowId?: string | undefined;
}

export interface PushOptions extends JobOptions, CallOptions {}

/** One job of a `pushBatch`. */
export interface PushItem<T = unknown> extends JobOptions {
  readonly name: string;
  /** JSON, at most 1 MiB. @default null */
  readonly data?: T | undefined;
}

export interface PushBatchOptions extends CallOptions {
  /** One bad item refuses the whole batch; with false each item has its own outcome. @default true */
  readonly atomic?: boolean | undefined;
}

export interface PullOptions extends CallOptions {
  /** 1 to 1,000. Fewer may come back even when more are waiting. @default 1 */
  readonly count?: number | undefined;
  /** How long, at most 60,000, to hold the request open while nothing is ready. @default 0: answered at once */
  readonly waitMs?: number | undefined;
  /** How long the claim lasts from its start, 1,000 to 43,200,000. @default the queue's setting, else 30_000 */
  readonly leaseMs?: number | undefined;
  /** Only jobs with these names. */
  readonly names?: readonly string[] | undefined;
  /** Who holds the jobs, for `listWorkers` and for notices. */
  readonly workerId?: string | undefined;
  /** The same again answers with the same jobs while their leases live. @default made for each call */
  readonly requestId?: string | undefined;
  /** One a queue; the order of the queues is then drawn in proportion. */
  readonly weights?: readonly number[] | undefined;
}

export interface AckOptions extends CallOptions {
  /** JSON of at most 1 MiB. @default no result */
  readonly result?: unknown;
  /** In place of the job's own. */
  readonly lease?: string | undefined;
}

/** One item of an `ackBatch`: a job, or a job and its result. */
export type AckEntry = JobRef | { readonly job: JobRef; readonly result?: unknown };

interface Failing {
  /** In place of the backoff. */
  readonly retryInMs?: number | undefined;
  /** Do not try again; the job is a dead letter. @default false */
  readonly discard?: boolean | undefined;
}

export interface FailOptions extends Failing, CallOptions {}

/** One item of a `failBatch`. `error` is kept in the job's history. */
export interface FailItem extends Failing {
  readonly job: JobRef;
  readonly error: unknown;
}

export interface ReleaseOptions extends CallOptions {
  /** How long until it may be taken again. @default 0 */
  readonly delayMs?: number | undefined;
}

export interface HeartbeatOptions extends CallOptions {
  /** The length of the lease from now on. @default as it was */
  readonly leaseMs?: number | undefined;
}

/** One item of a `heartbeatBatch`: a job, or a job and the new length of its lease. */
export type HeartbeatEntry =
  | JobRef
  | { readonly job: JobRef; readonly leaseMs?: number | undefined };

export interface HeartbeatBatchOptions extends CallOptions {
  /** What `listWorkers` shows, and what lets the server say "you are deaf". */
  readonly worker?: WorkerReport | undefined;
  /** How long, at most 60,000, to hold the answer until a job of *worker* is cancelled or lost. @default 0 */
  readonly waitMs?: number | undefined;
}

export interface ProgressOptions extends CallOptions {
  /** Appended to the job's log, cut to 1,024 bytes. */
  readonly message?: string | undefined;
}

/** Which jobs to find; all that is given must match. */
export interface JobFilter {
  readonly queue?: string | undefined;
  readonly state?: AnyJobState | readonly AnyJobState[] | undefined;
  readonly name?: string | undefined;
  readonly tag?: string | undefined;
  readonly groupId?: string | undefined;
  readonly flowId?: string | undefined;
  readonly customId?: string | undefined;
  /** Inclusive. */
  readonly createdAfter?: Date | undefined;
  /** Exclusive. */
  readonly createdBefore?: Date | undefined;
}

export interface FindOptions extends JobFilter, CallOptions {
  /** Jobs a request, 1 to 1,000. @default 50 */
  readonly pageSize?: number | undefined;
}

export interface PageOptions extends CallOptions {
  /** At most 1,000. @default 50 */
  readonly limit?: number | undefined;
  /** `nextCursor` of the page before. @default the first page */
  readonly cursor?: string | undefined;
}

export interface FindPageOptions extends JobFilter, PageOptions {}

/** Settings of a queue: what is left out stays, null goes back to the server's default. */
export interface QueueSettings extends CallOptions {
  /** The length of a lease that a pull does not name, 1,000 to 43,200,000. */
  readonly leaseMs?: number | null | undefined;
  /** Unfinished jobs that it may hold. */
  readonly maxLength?: number | null | undefined;
  readonly retentionCompletedMs?: number | null | undefined;
  readonly retentionDlqMs?: number | null | undefined;
  readonly retentionCancelledMs?: number | null | undefined;
}

export interface PauseOptions extends CallOptions {
  /** `pull` stops delivery, `push` acceptance, `both` both. @default 'pull' */
  readonly mode?: 'pull' | 'push' | 'both' | undefined;
}

export interface BulkOptions extends CallOptions {
  /** Which dead letters. @default the oldest */
  readonly ids?: readonly JobRef[] | undefined;
  /** How many at most, 1 to 1,000. @default 1_000 */
  readonly limit?: number | undefined;
}
