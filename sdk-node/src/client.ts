/**
 * Client: each method builds a Request, has it carried, and gives what the answer says.
 *
 * What a method means, sends and gets is in `operations`; how it travels is in the transports; how it is repeated in
 * `client-core`.
 */

import { type ClientInternals, CORE, INTERNALS } from './client-core.ts';
import { ClientReads } from './client-reads.ts';
import type { JobwireError } from './errors.ts';
import type * as models from './models.ts';
import * as operations from './operations.ts';
import type * as options from './options.ts';

type Job<T = unknown> = models.Job<T>;
type JobRef = models.JobRef;

const POLL_MS = 500; // between pulls from a server that does not hold them open

/**
 * Pushes jobs and works on them; any number of calls at a time.
 *
 *     await using client = new Client({ url: 'http://localhost:6790' });
 *     await client.push('emails', 'welcome', { to: 'ann@example.org' });
 *
 * Nothing is connected before the first call. Every push, pull, ack and fail carries an id, a lease or a request id, so
 * that its repeat after a lost answer changes nothing more. A call rejects with a JobwireError, or with the reason of its
 * signal.
 */
export class Client extends ClientReads {
  /**
   * This client with other settings; what is left out stays as it is.
   *
   * The two share their connections, and closing either closes both.
   */
  withOptions(settings: options.CallSettings): Client {
    return new Client(this[CORE].with(settings));
  }

  /** @internal For the worker. */
  get [INTERNALS](): ClientInternals {
    return this[CORE].internals();
  }

  // --- pushing ------------------------------------------------------------------------------------------------------

  /**
   * Put a job in *queue*. When this resolves, the job survives whatever the server's durability promises.
   *
   * *queue* is 1 to 256 characters of `A-Za-z0-9._-`, made by its first push; a worker picks the handler by *name*;
   * *data* is JSON of at most 1 MiB, null when left out.
   *
   * Gives the id, and whether the job was created, existed, or replaced another. Rejects with ValidationError for a bad
   * argument or data that is not JSON, ConflictError DUPLICATE_KEY (`details.existing_id`) or ID_CONFLICT, RateLimitedError
   * QUEUE_FULL, UnavailableError QUEUE_PAUSED or STORAGE_FULL, after the retries. Repeated safely after a lost answer: the
   * outcome is then `existing`. Requirements JW-PUSH, JW-UNIQ, JW-DEP.
   */
  push<T = unknown>(
    queue: string,
    name: string,
    data?: T,
    { signal, ...job }: options.PushOptions = {},
  ): Promise<models.PushResult> {
    const item = { ...job, name, data };
    return this[CORE].call(() => operations.push(queue, item, this[CORE].runtime.newId()), signal);
  }

  /**
   * Put up to 1,000 jobs in *queue*, in one transaction.
   *
   * Gives a PushResult each, in the order of *jobs*, and with `atomic: false` a JobwireError for a refused item. One bad
   * item of an atomic batch rejects the whole, and the error's `details.pointer` names it. Otherwise as `push`.
   */
  pushBatch(
    queue: string,
    jobs: Iterable<options.PushItem>,
    settings: options.PushBatchOptions & { readonly atomic: false },
  ): Promise<(models.PushResult | JobwireError)[]>;
  pushBatch(
    queue: string,
    jobs: Iterable<options.PushItem>,
    settings?: options.PushBatchOptions & { readonly atomic?: true | undefined },
  ): Promise<models.PushResult[]>;
  pushBatch(
    queue: string,
    jobs: Iterable<options.PushItem>,
    { signal, atomic = true }: options.PushBatchOptions = {},
  ): Promise<(models.PushResult | JobwireError)[]> {
    return this[CORE].call(
      () => operations.pushBatch(queue, jobs, atomic, () => this[CORE].runtime.newId()),
      signal,
    );
  }

  // --- working ------------------------------------------------------------------------------------------------------

  /**
   * Claim up to `count` jobs that are waiting in one of *queues*, which are tried in order: highest priority first, then
   * the one that was ready first.
   *
   * Gives the jobs, each with its lease; `[]` when `waitMs` ran out. Rejects with ValidationError for a bad argument, and
   * with RequestTimeoutError or TransportError when no answer came, after the retries: **jobs may have been claimed** and
   * will come back when their lease ends. Two calls claim different jobs, unless they carry the same `requestId`.
   * Requirements JW-PULL, JW-LEASE.
   */
  async pull<T = unknown>(
    queues: string | readonly string[],
    { signal, ...settings }: options.PullOptions = {},
  ): Promise<Job<T>[]> {
    const core = this[CORE];
    const requestId = settings.requestId ?? core.runtime.newId();
    const ask = () =>
      core.call(() => operations.pull<T>(queues, { ...settings, requestId }), signal);
    const end = core.runtime.monotonic() + (settings.waitMs ?? 0);
    let jobs = await ask();
    for (let left = 0; jobs.length === 0 && core.transport.polls; jobs = await ask()) {
      left = end - core.runtime.monotonic();
      if (left <= 0) break;
      await core.pause(Math.min(POLL_MS, left), signal);
    }
    return jobs;
  }

  /**
   * Report that *job* is done, with an optional JSON result.
   *
   * Gives true when this lease had acked the job before. Rejects with ConflictError LEASE_LOST (the lease ran out: drop the
   * result) or INVALID_STATE, and NotFoundError. Idempotent under one lease. Requirements JW-ACK.
   */
  ack(job: JobRef, { signal, ...settings }: options.AckOptions = {}): Promise<boolean> {
    return this[CORE].call(() => operations.ack(job, settings), signal);
  }

  /** Report up to 1,000 jobs as done. Gives an outcome per item, in order; a refused item rejects nothing. As `ack`. */
  ackBatch(
    items: Iterable<options.AckEntry>,
    { signal }: options.CallOptions = {},
  ): Promise<models.ItemResult[]> {
    return this[CORE].call(() => operations.ackBatch(items), signal);
  }

  /**
   * Report that this try of *job* failed; it is tried again after its backoff while attempts are left.
   *
   * *error* is kept in the job's history, cut to 10,240 bytes; an Error is written as `Name: message`. Gives whether the
   * job will be tried again, and when. Rejects as `ack`. Idempotent under one lease. Requirements JW-FAIL.
   */
  fail(
    job: JobRef,
    error: unknown,
    { signal, ...settings }: options.FailOptions = {},
  ): Promise<models.FailResult> {
    return this[CORE].call(() => operations.fail({ ...settings, job, error }), signal);
  }

  /** Report up to 1,000 failed tries. As `fail` and `ackBatch`. */
  failBatch(
    items: Iterable<options.FailItem>,
    { signal }: options.CallOptions = {},
  ): Promise<models.ItemResult[]> {
    return this[CORE].call(() => operations.failBatch(items), signal);
  }

  /** Give *job* back unfinished, without burning an attempt. Rejects as `ack`. Idempotent under one lease. JW-LEASE. */
  release(
    job: JobRef,
    { signal, delayMs = 0 }: options.ReleaseOptions = {},
  ): Promise<models.StateResult> {
    return this[CORE].call(() => operations.release(job, delayMs), signal);
  }

  /**
   * Renew the lease of *job*, for `leaseMs` from now or for its old length.
   *
   * Gives the new end, and whether the job is asked to stop. Rejects as `ack`; LEASE_LOST means that another worker may
   * have the job. Requirements JW-LEASE.
   */
  heartbeat(
    job: JobRef,
    { signal, leaseMs }: options.HeartbeatOptions = {},
  ): Promise<models.HeartbeatResult> {
    return this[CORE].call(() => operations.heartbeat(job, leaseMs), signal);
  }

  /**
   * Renew many leases in one request, and report the state of a worker.
   *
   * Gives an outcome per item, and the ids that were lost or cancelled. Requirements JW-LEASE, JW-WORKER.
   */
  heartbeatBatch(
    items: Iterable<options.HeartbeatEntry>,
    { signal, ...settings }: options.HeartbeatBatchOptions = {},
  ): Promise<models.HeartbeatBatchResult> {
    return this[CORE].call(() => operations.heartbeatBatch(items, settings), signal);
  }

  /** Set the progress of an active *job*, 0 to 100, and append a message to its log. Rejects as `ack`. JW-PROG. */
  progress(
    job: JobRef,
    percent: number,
    { signal, message }: options.ProgressOptions = {},
  ): Promise<void> {
    return this[CORE].call(() => operations.progress(job, percent, message), signal);
  }
}
