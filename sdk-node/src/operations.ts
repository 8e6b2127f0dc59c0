/**
 * The pure heart of the client, first half: pushing and working. One function an operation, from arguments to a Request.
 *
 * Rule 1: no I/O, no clock, no chance; ids that must be made come as arguments.
 * Rule 2: what can be refused before sending is refused here.
 */

import * as answers from './answers.ts';
import type { JobwireError } from './errors.ts';
import {
  cutUtf8,
  type Fields,
  type Given,
  jobRef,
  leaseMs,
  ms,
  present,
  waitMs,
} from './fields.ts';
import { formatInstant, wholeMs } from './instants.ts';
import { LIMITS } from './limits.ts';
import type * as models from './models.ts';
import type * as options from './options.ts';
import { invalid, Request } from './request.ts';

type JobRef = models.JobRef;

// --- pushing ----------------------------------------------------------------------------------------------------------

/** The JobOptions of *item* on the wire, without those that were not given. */
function jobOptions(item: options.JobOptions): Fields {
  if (item.delayMs !== undefined && item.runAt !== undefined) {
    throw invalid('give delayMs or runAt, not both', 'run_at');
  }
  return present({
    priority: item.priority,
    delay_ms: ms(item.delayMs, 'delayMs'),
    run_at: item.runAt && formatInstant(item.runAt, 'runAt'),
    max_attempts: item.maxAttempts,
    backoff: item.backoff,
    backoff_delay_ms: ms(item.backoffDelayMs, 'backoffDelayMs'),
    backoff_schedule_ms: item.backoffScheduleMs?.map((each) => wholeMs(each, 'backoffScheduleMs')),
    backoff_max_ms: ms(item.backoffMaxMs, 'backoffMaxMs'),
    jitter: item.jitter,
    ttl_ms: ms(item.ttlMs, 'ttlMs'),
    timeout_ms: ms(item.timeoutMs, 'timeoutMs'),
    unique_key: item.uniqueKey,
    unique_for_ms: ms(item.uniqueForMs, 'uniqueForMs'),
    on_conflict: item.onConflict,
    tags: item.tags,
    group_id: item.groupId,
    lifo: item.lifo,
    remove_on_complete: item.removeOnComplete,
    remove_on_fail: item.removeOnFail,
    custom_id: item.customId,
    metadata: item.metadata ?? undefined,
    depends_on: item.dependsOn,
    flow_id: item.flowId,
  });
}

function pushHead({ id, name, data = null }: options.PushItem, newId: () => string): Fields {
  if (typeof name !== 'string') throw invalid('a job needs a name', 'name');
  return { id: id ?? newId(), name, data };
}

export function push(
  queue: string,
  item: options.PushItem,
  newId: string,
): Request<models.PushResult> {
  // RustQueue reads options flat over HTTP and nested over TCP; Jobwire reads both on both.
  const head = pushHead(item, () => newId);
  const given = jobOptions(item);
  return new Request('push', {
    fields: { queue, ...head, ...nested(given) },
    body: { ...head, ...given },
    parse: answers.push,
  });
}

function nested(given: Fields): Fields {
  return Object.keys(given).length > 0 ? { options: given } : {};
}

export function pushBatch(
  queue: string,
  jobs: Iterable<options.PushItem>,
  atomic: boolean,
  newId: () => string,
): Request<(models.PushResult | JobwireError)[]> {
  const items = Array.from(jobs, (item) => ({
    ...pushHead(item, newId),
    ...nested(jobOptions(item)),
  }));
  return new Request('push_batch', {
    fields: { queue, jobs: items, atomic },
    parse: answers.pushBatch,
  });
}

// --- working ----------------------------------------------------------------------------------------------------------

export function pull<T>(
  queues: string | readonly string[],
  given: Given<options.PullOptions>,
): Request<models.Job<T>[]> {
  const listed = typeof queues === 'string' ? [queues] : [...queues];
  if (listed.length === 0) throw invalid('queues must name at least one queue', 'queues');
  // RustQueue knows `queue` alone; weights belong to `queues`.
  const isAlone = listed.length === 1 && given.weights === undefined;
  const fields = present({
    ...(isAlone ? { queue: listed[0] } : { queues: listed }),
    count: given.count ?? 1,
    wait_ms: waitMs(given.waitMs ?? 0),
    lease_ms: leaseMs(given.leaseMs),
    names: given.names,
    worker_id: given.workerId,
    request_id: given.requestId,
    weights: given.weights,
  });
  return new Request('pull', { fields, waitMs: given.waitMs, parse: answers.pull<T> });
}

export function ack(job: JobRef, { result, lease }: Given<options.AckOptions>): Request<boolean> {
  const fields = { ...jobRef(job), ...present({ result, lease }) };
  return new Request('ack', { fields, parse: answers.already });
}

/** A job of a batch, which may stand by itself or in `job` beside what is said of it. */
function entry<E extends { readonly job: JobRef }>(item: JobRef | E): { job: JobRef } & Partial<E> {
  return typeof item === 'object' && 'job' in item ? item : ({ job: item } as never);
}

export function ackBatch(items: Iterable<options.AckEntry>): Request<models.ItemResult[]> {
  const wire = Array.from(items, (item) => {
    const { job, result } = entry<{ job: JobRef; result?: unknown }>(item);
    return { ...jobRef(job), ...present({ result }) };
  });
  return new Request('ack_batch', { fields: { items: wire }, parse: answers.results });
}

/** What fail sends for *error*, cut to the limit of the wire. */
export function errorText(error: unknown): string {
  return cutUtf8(error instanceof Error ? named(error) : String(error), LIMITS.error_bytes);
}

function named({ name, message }: Error): string {
  return message ? `${name}: ${message}` : name;
}

function failItem({ job, error, retryInMs, discard }: options.FailItem): Fields {
  return {
    ...jobRef(job),
    error: errorText(error),
    ...present({ retry_in_ms: ms(retryInMs, 'retryInMs'), discard: discard || undefined }),
  };
}

export function fail(item: options.FailItem): Request<models.FailResult> {
  return new Request('fail', { fields: failItem(item), parse: answers.fail });
}

export function failBatch(items: Iterable<options.FailItem>): Request<models.ItemResult[]> {
  return new Request('fail_batch', {
    fields: { items: Array.from(items, failItem) },
    parse: answers.results,
  });
}

export function release(job: JobRef, delayMs: number): Request<models.StateResult> {
  const fields = { ...jobRef(job), ...present({ delay_ms: ms(delayMs, 'delayMs') || undefined }) };
  return new Request('release', { fields, parse: answers.stateResult });
}

function heartbeatItem(job: JobRef, lease: number | undefined): Fields {
  return { ...jobRef(job), ...present({ lease_ms: leaseMs(lease) }) };
}

export function heartbeat(job: JobRef, lease: number | undefined): Request<models.HeartbeatResult> {
  return new Request('heartbeat', {
    fields: heartbeatItem(job, lease),
    parse: answers.heartbeat,
  });
}

export function heartbeatBatch(
  items: Iterable<options.HeartbeatEntry>,
  { worker, waitMs: wait = 0 }: Given<options.HeartbeatBatchOptions>,
): Request<models.HeartbeatBatchResult> {
  const wire = Array.from(items, (item) => {
    const { job, leaseMs: lease } = entry<{ job: JobRef; leaseMs?: number | undefined }>(item);
    return heartbeatItem(job, lease);
  });
  if (wait && worker === undefined) throw invalid('waitMs needs worker', 'wait_ms');
  const report = worker && workerReport(worker);
  const fields = present({ items: wire, worker: report, wait_ms: waitMs(wait) });
  return new Request('heartbeat_batch', { fields, waitMs: wait, parse: answers.heartbeatBatch });
}

function workerReport(worker: models.WorkerReport): Fields {
  return present({
    id: worker.id,
    queues: worker.queues ?? [],
    concurrency: worker.concurrency,
    free: worker.free,
    state: worker.state ?? 'running',
    last_pull_ms: ms(worker.lastPullMs, 'lastPullMs'),
  });
}

export function progress(job: JobRef, percent: number, message: string | undefined): Request<void> {
  const text = message === undefined ? undefined : cutUtf8(message, LIMITS.message_bytes);
  const fields = { ...jobRef(job), progress: percent, ...present({ message: text }) };
  return new Request('progress', { fields, parse: answers.nothing });
}
