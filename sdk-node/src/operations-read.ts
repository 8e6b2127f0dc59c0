/** The second half of `operations`: single jobs, queues, dead letters, flows, workers, the server. The same rules. */

import * as answers from './answers.ts';
import { type Fields, type Given, jobId, leaseMs, ms, present } from './fields.ts';
import { formatInstant } from './instants.ts';
import type * as models from './models.ts';
import type * as options from './options.ts';
import { Request } from './request.ts';

type JobRef = models.JobRef;

// --- jobs -------------------------------------------------------------------------------------------------------------

export function cancel(job: JobRef): Request<models.StateResult> {
  return new Request('cancel', { fields: jobId(job), parse: answers.stateResult });
}

export function retry(job: JobRef): Request<models.StateResult> {
  return new Request('retry', { fields: jobId(job), parse: answers.stateResult });
}

export function promote(job: JobRef): Request<models.StateResult> {
  return new Request('promote', { fields: jobId(job), parse: answers.stateResult });
}

export function getJob<T>(job: JobRef): Request<models.Job<T>> {
  return new Request('get', { fields: jobId(job), parse: answers.job<T> });
}

export function deleteJob(job: JobRef): Request<void> {
  return new Request('delete', { fields: jobId(job), parse: answers.nothing });
}

export function find<T>(given: Given<options.FindPageOptions>): Request<models.Page<T>> {
  const { state, createdAfter, createdBefore } = given;
  const fields = present({
    queue: given.queue,
    state: typeof state === 'string' ? [state] : state,
    name: given.name,
    tag: given.tag,
    group_id: given.groupId,
    flow_id: given.flowId,
    custom_id: given.customId,
    created_after: createdAfter && formatInstant(createdAfter, 'createdAfter'),
    created_before: createdBefore && formatInstant(createdBefore, 'createdBefore'),
    limit: given.limit,
    cursor: given.cursor,
  });
  return new Request('find', { fields, parse: answers.page<T> });
}

// --- queues -----------------------------------------------------------------------------------------------------------

export function listQueues(): Request<models.QueueInfo[]> {
  return new Request('queues', { fields: {}, parse: answers.queues });
}

export function getQueue(queue: string): Request<models.QueueInfo> {
  return new Request('queue', { fields: { queue }, parse: answers.queue });
}

export function updateQueue(
  queue: string,
  given: Given<options.QueueSettings>,
): Request<models.QueueInfo> {
  const settings = present({
    lease_ms: given.leaseMs === null ? null : leaseMs(given.leaseMs),
    max_length: given.maxLength,
    retention_completed_ms: settingMs(given.retentionCompletedMs, 'retentionCompletedMs'),
    retention_dlq_ms: settingMs(given.retentionDlqMs, 'retentionDlqMs'),
    retention_cancelled_ms: settingMs(given.retentionCancelledMs, 'retentionCancelledMs'),
  });
  return new Request('queue_update', { fields: { queue, ...settings }, parse: answers.queue });
}

function settingMs(value: number | null | undefined, name: string): number | null | undefined {
  return value === null ? null : ms(value, name);
}

export function stats(queue: string): Request<models.QueueStats> {
  return new Request('stats', { fields: { queue }, parse: answers.stats });
}

export function pauseQueue(queue: string, mode: string): Request<void> {
  return new Request('queue_pause', { fields: { queue, mode }, parse: answers.nothing });
}

export function resumeQueue(queue: string): Request<void> {
  return new Request('queue_resume', { fields: { queue }, parse: answers.nothing });
}

export function dlq<T>(queue: string, page: Given<options.PageOptions>): Request<models.Page<T>> {
  const { limit, cursor } = page;
  const fields = { queue, ...present({ limit, cursor }) };
  return new Request('dlq', { fields, parse: answers.page<T> });
}

function bulkFields(queue: string, { ids, limit }: Given<options.BulkOptions>): Fields {
  const listed = ids?.map((one) => (typeof one === 'string' ? one : one.id));
  return { queue, ...present({ ids: listed, limit }) };
}

export function retryDlq(
  queue: string,
  which: Given<options.BulkOptions>,
): Request<models.BulkResult> {
  return new Request('dlq_retry', { fields: bulkFields(queue, which), parse: answers.bulk });
}

export function discardDlq(
  queue: string,
  which: Given<options.BulkOptions>,
): Request<models.BulkResult> {
  return new Request('dlq_discard', { fields: bulkFields(queue, which), parse: answers.bulk });
}

// --- flows, workers, the server ---------------------------------------------------------------------------------------

export function getFlow(flowId: string): Request<models.Flow> {
  return new Request('flow', { fields: { flow_id: flowId }, parse: answers.flow });
}

export function listWorkers(): Request<models.WorkerInfo[]> {
  return new Request('workers', { fields: {}, parse: answers.workers });
}

export function health(): Request<models.Health> {
  return new Request('health', { fields: {}, parse: answers.health });
}

export function capabilities(): Request<models.Capabilities> {
  return new Request('capabilities', { fields: {}, parse: answers.capabilities });
}

export function ping(): Request<void> {
  return new Request('ping', { fields: {}, parse: answers.nothing });
}
