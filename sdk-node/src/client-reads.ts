/**
 * What a Client does besides pushing and working: its life, and the methods for single jobs, queues and the server.
 *
 * Only so that files stay small: users see one class, Client.
 */

import { ClientCore, CORE } from './client-core.ts';
import type * as models from './models.ts';
import * as operations from './operations-read.ts';
import type * as options from './options.ts';

type Job<T = unknown> = models.Job<T>;
type JobRef = models.JobRef;

export abstract class ClientReads implements AsyncDisposable {
  /** @internal */
  readonly [CORE]: ClientCore;

  constructor(settings: options.ClientOptions = {}) {
    this[CORE] = ClientCore.from(settings);
  }

  /** Close all connections. Calls in flight reject with TransportError CLIENT_CLOSED. Idempotent. */
  close(): Promise<void> {
    return this[CORE].close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Where it connects to; the token is shown nowhere. */
  toString(): string {
    return `Client(${this[CORE].endpoint})`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  // --- jobs ---------------------------------------------------------------------------------------------------------

  /**
   * Stop a job: at once while it waits; when it is active its worker is told, and `state` is still active.
   *
   * Rejects with NotFoundError, or ConflictError INVALID_STATE when it has ended otherwise. Requirements JW-CANCEL.
   */
  cancel(job: JobRef, { signal }: options.CallOptions = {}): Promise<models.StateResult> {
    return this[CORE].call(() => operations.cancel(job), signal);
  }

  /**
   * Put a dead letter or a cancelled job back in its queue, with its attempts counted anew.
   *
   * Rejects with ConflictError INVALID_STATE or DUPLICATE_KEY, or NotFoundError. Repeated only when it provably was not
   * carried out. Requirements JW-RETRY.
   */
  retry(job: JobRef, { signal }: options.CallOptions = {}): Promise<models.StateResult> {
    return this[CORE].call(() => operations.retry(job), signal);
  }

  /** Make a delayed job ready now. Rejects with ConflictError INVALID_STATE, or NotFoundError. JW-RETRY. */
  promote(job: JobRef, { signal }: options.CallOptions = {}): Promise<models.StateResult> {
    return this[CORE].call(() => operations.promote(job), signal);
  }

  /** The job as it is now, without a lease. Rejects with NotFoundError. Requirements JW-FIND. */
  getJob<T = unknown>(job: JobRef, { signal }: options.CallOptions = {}): Promise<Job<T>> {
    return this[CORE].call(() => operations.getJob<T>(job), signal);
  }

  /**
   * Remove a job that is not active. Rejects with ConflictError INVALID_STATE, or NotFoundError. Repeated only when it
   * provably was not carried out. Requirements JW-DEL.
   */
  deleteJob(job: JobRef, { signal }: options.CallOptions = {}): Promise<void> {
    return this[CORE].call(() => operations.deleteJob(job), signal);
  }

  /**
   * Go through all jobs that match, newest first, fetching page after page as they are asked for.
   *
   * Rejects with ValidationError at the first step. Requirements JW-FIND.
   */
  async *find<T = unknown>({
    pageSize: limit,
    ...filter
  }: options.FindOptions = {}): AsyncGenerator<Job<T>, void, undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.findPage<T>({ ...filter, limit, cursor });
      yield* page.jobs;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** One page of `find`: at most `limit` jobs from `cursor` on, the `nextCursor` of the page before. */
  findPage<T = unknown>({
    signal,
    ...settings
  }: options.FindPageOptions = {}): Promise<models.Page<T>> {
    return this[CORE].call(() => operations.find<T>(settings), signal);
  }

  // --- queues -------------------------------------------------------------------------------------------------------

  /** All queues by name, with counts and pause mode. Requirements JW-QUEUE. */
  listQueues({ signal }: options.CallOptions = {}): Promise<models.QueueInfo[]> {
    return this[CORE].call(() => operations.listQueues(), signal);
  }

  /** A queue with its settings; one that was never used has zero counts. Requirements JW-QUEUE. */
  getQueue(queue: string, { signal }: options.CallOptions = {}): Promise<models.QueueInfo> {
    return this[CORE].call(() => operations.getQueue(queue), signal);
  }

  /** Change settings of a queue; what is left out stays, null goes back to the server's default. JW-QUEUE. */
  updateQueue(
    queue: string,
    { signal, ...settings }: options.QueueSettings,
  ): Promise<models.QueueInfo> {
    return this[CORE].call(() => operations.updateQueue(queue, settings), signal);
  }

  /** Counts by state, pause mode, and the age of the oldest waiting job. Requirements JW-QUEUE. */
  stats(queue: string, { signal }: options.CallOptions = {}): Promise<models.QueueStats> {
    return this[CORE].call(() => operations.stats(queue), signal);
  }

  /** Stop delivery (`pull`), acceptance (`push`) or `both`, until `resumeQueue`. Requirements JW-QUEUE. */
  pauseQueue(queue: string, { signal, mode = 'pull' }: options.PauseOptions = {}): Promise<void> {
    return this[CORE].call(() => operations.pauseQueue(queue, mode), signal);
  }

  /** End a pause; nothing happens when there is none. Requirements JW-QUEUE. */
  resumeQueue(queue: string, { signal }: options.CallOptions = {}): Promise<void> {
    return this[CORE].call(() => operations.resumeQueue(queue), signal);
  }

  /** A page of a queue's dead letters, the newest first. Requirements JW-DLQ. */
  dlq<T = unknown>(
    queue: string,
    { signal, ...page }: options.PageOptions = {},
  ): Promise<models.Page<T>> {
    return this[CORE].call(() => operations.dlq<T>(queue, page), signal);
  }

  /**
   * Put dead letters back in *queue*: those of `ids`, or the oldest.
   *
   * Gives how many, each one's outcome, and how many dead letters remain. Requirements JW-DLQ.
   */
  retryDlq(
    queue: string,
    { signal, ...which }: options.BulkOptions = {},
  ): Promise<models.BulkResult> {
    return this[CORE].call(() => operations.retryDlq(queue, which), signal);
  }

  /** Remove dead letters; arguments and answer are those of `retryDlq`. Requirements JW-DLQ. */
  discardDlq(
    queue: string,
    { signal, ...which }: options.BulkOptions = {},
  ): Promise<models.BulkResult> {
    return this[CORE].call(() => operations.discardDlq(queue, which), signal);
  }

  // --- flows, workers, the server -----------------------------------------------------------------------------------

  /** The jobs of a flow, oldest first, at most 1,000, and how many are in each state. Requirements JW-DEP. */
  getFlow(flowId: string, { signal }: options.CallOptions = {}): Promise<models.Flow> {
    return this[CORE].call(() => operations.getFlow(flowId), signal);
  }

  /** Who works, by id, and who is alive, quiet, deaf or lost. Requirements JW-WORKER. */
  listWorkers({ signal }: options.CallOptions = {}): Promise<models.WorkerInfo[]> {
    return this[CORE].call(() => operations.listWorkers(), signal);
  }

  /** The server's state, version and verified durability; needs no token. Requirements JW-HEALTH. */
  health({ signal }: options.CallOptions = {}): Promise<models.Health> {
    return this[CORE].call(() => operations.health(), signal);
  }

  /** What the server can do, its limits and its defaults; needs no token. Requirements JW-HEALTH. */
  capabilities({ signal }: options.CallOptions = {}): Promise<models.Capabilities> {
    return this[CORE].call(() => operations.capabilities(), signal);
  }

  /** Ask the server for a sign of life; needs no token. */
  ping({ signal }: options.CallOptions = {}): Promise<void> {
    return this[CORE].call(() => operations.ping(), signal);
  }
}
