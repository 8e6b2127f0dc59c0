/** What the answers of the operations say, as models. Each function throws Malformed for what cannot be one. */

import { fromResponse, type JobwireError } from './errors.ts';
import { parseJob } from './job.ts';
import type { JobTexts } from './json-text.ts';
import type * as models from './models.ts';
import * as reading from './reading.ts';
import { needed } from './reading.ts';

type Wire = reading.Wire;

export function nothing(): void {}

export function already(body: Wire): boolean {
  return reading.flag(body, 'already');
}

function pushed(id: string, outcome: string): models.PushResult {
  return { id, outcome, created: outcome !== 'existing' };
}

export function push(body: Wire): models.PushResult {
  return pushed(needed(reading.text(body, 'id'), 'id'), reading.text(body, 'outcome') ?? 'created');
}

/** Without `results` all went well; RustQueue sends no `outcomes` either. */
export function pushBatch(body: Wire): (models.PushResult | JobwireError)[] {
  const outcomes = reading.list(body, 'outcomes', (outcome) => outcome);
  const results = reading.list(body, 'results', reading.asObject);
  return reading.list(body, 'ids', (id, key, index) => {
    const result = results[index];
    if (result !== undefined && result.ok !== true) return fromResponse(result.error);
    return pushed(reading.asText(id, key), String(outcomes[index] ?? 'created'));
  });
}

function jobs<T>(body: Wire, texts: JobTexts): models.Job<T>[] {
  if (!Array.isArray(body.jobs)) throw new reading.Malformed('jobs is not a list');
  return reading.list(body, 'jobs', (job, _, index) => parseJob<T>(job, () => texts.at(index)));
}

export function pull<T>(body: Wire, texts: JobTexts): models.Job<T>[] {
  if ('jobs' in body) return jobs(body, texts);
  if (body.job === undefined) throw new reading.Malformed('job is missing');
  return body.job === null ? [] : [parseJob<T>(body.job, () => texts.at(0))];
}

export function job<T>(body: Wire, texts: JobTexts): models.Job<T> {
  return parseJob<T>(body.job, () => texts.at(0));
}

export function page<T>(body: Wire, texts: JobTexts): models.Page<T> {
  return { jobs: jobs(body, texts), nextCursor: reading.text(body, 'next_cursor') };
}

export function results(body: Wire): models.ItemResult[] {
  if (!Array.isArray(body.results)) throw new reading.Malformed('results is not a list');
  return reading.list(body, 'results', itemResult);
}

function itemResult(value: unknown): models.ItemResult {
  const wire = reading.asObject(value, 'results');
  if (typeof wire.ok !== 'boolean') throw new reading.Malformed('ok is missing');
  const retry = wire.retry ?? wire.will_retry;
  return {
    id: reading.text(wire, 'id') ?? '',
    ok: wire.ok,
    already: already(wire),
    error: wire.ok ? null : fromResponse(wire.error),
    outcome: reading.text(wire, 'outcome'),
    state: reading.text(wire, 'state'),
    retry: typeof retry === 'boolean' ? retry : null,
    nextAttemptAt: reading.instant(wire, 'next_attempt_at'),
    leaseExpiresAt: reading.instant(wire, 'lease_expires_at'),
    cancelled: reading.flag(wire, 'cancelled'),
  };
}

/** Over HTTP RustQueue says `retry`, over TCP `will_retry`. */
export function fail(body: Wire): models.FailResult {
  const retry = body.retry ?? body.will_retry;
  if (typeof retry !== 'boolean') throw new reading.Malformed('retry is missing');
  return {
    retry,
    nextAttemptAt: reading.instant(body, 'next_attempt_at'),
    already: already(body),
  };
}

/** RustQueue's cancel answers without a state. */
export function stateResult(body: Wire): models.StateResult {
  return { state: reading.text(body, 'state') ?? '', already: already(body) };
}

export function heartbeat(body: Wire): models.HeartbeatResult {
  return {
    leaseExpiresAt: reading.instant(body, 'lease_expires_at'),
    cancelled: reading.flag(body, 'cancelled'),
  };
}

export function heartbeatBatch(body: Wire): models.HeartbeatBatchResult {
  return {
    results: results(body),
    lost: reading.list(body, 'lost', reading.asText),
    cancelled: reading.list(body, 'cancelled', reading.asText),
    deaf: reading.flag(body, 'deaf'),
  };
}

export function bulk(body: Wire): models.BulkResult {
  return {
    count: needed(reading.number(body, 'count'), 'count'),
    results: reading.list(body, 'results', itemResult),
    remaining: reading.number(body, 'remaining') ?? 0,
  };
}

function counts(wire: Wire): models.QueueCounts {
  const count = (state: string): number => reading.number(wire, state) ?? 0;
  return {
    waiting: count('waiting'),
    active: count('active'),
    delayed: count('delayed'),
    completed: count('completed'),
    failed: count('failed'),
    dlq: count('dlq'),
    blocked: count('blocked'),
    cancelled: count('cancelled'),
  };
}

export function stats(body: Wire): models.QueueStats {
  return {
    counts: counts(needed(reading.object(body, 'counts'), 'counts')),
    paused: reading.text(body, 'paused'),
    oldestWaitingMs: reading.number(body, 'oldest_waiting_ms'),
  };
}

function queueInfo(value: unknown): models.QueueInfo {
  const wire = reading.asObject(value, 'queue');
  const known = { ...wire, ...reading.object(wire, 'settings') };
  return {
    name: needed(reading.text(wire, 'name'), 'name'),
    counts: counts(reading.object(wire, 'counts') ?? {}),
    paused: reading.text(known, 'paused'),
    oldestWaitingMs: reading.number(known, 'oldest_waiting_ms'),
    leaseMs: reading.number(known, 'lease_ms'),
    maxLength: reading.number(known, 'max_length'),
    retentionCompletedMs: reading.number(known, 'retention_completed_ms'),
    retentionDlqMs: reading.number(known, 'retention_dlq_ms'),
    retentionCancelledMs: reading.number(known, 'retention_cancelled_ms'),
  };
}

export function queue(body: Wire): models.QueueInfo {
  return queueInfo(body.queue);
}

export function queues(body: Wire): models.QueueInfo[] {
  if (!Array.isArray(body.queues)) throw new reading.Malformed('queues is not a list');
  return body.queues.map(queueInfo);
}

export function flow(body: Wire, texts: JobTexts): models.Flow {
  const summary = Object.entries(reading.object(body, 'summary') ?? {});
  return {
    flowId: needed(reading.text(body, 'flow_id'), 'flow_id'),
    jobs: jobs(body, texts),
    summary: Object.fromEntries(summary.map(([key, value]) => [key, reading.asNumber(value, key)])),
  };
}

export function workers(body: Wire): models.WorkerInfo[] {
  if (!Array.isArray(body.workers)) throw new reading.Malformed('workers is not a list');
  return body.workers.map(workerInfo);
}

function workerInfo(value: unknown): models.WorkerInfo {
  const wire = reading.asObject(value, 'workers');
  return {
    id: needed(reading.text(wire, 'id'), 'id'),
    queues: reading.list(wire, 'queues', reading.asText),
    concurrency: reading.number(wire, 'concurrency'),
    free: reading.number(wire, 'free'),
    held: reading.number(wire, 'held') ?? 0,
    state: reading.text(wire, 'state') ?? 'alive',
    client: reading.text(wire, 'client'),
    transport: reading.text(wire, 'transport'),
    firstSeenAt: reading.instant(wire, 'first_seen_at'),
    lastSeenAt: reading.instant(wire, 'last_seen_at'),
    lastPullAt: reading.instant(wire, 'last_pull_at'),
  };
}

export function health(body: Wire): models.Health {
  return {
    status: needed(reading.text(body, 'status'), 'status'),
    version: reading.text(body, 'version') ?? '',
    uptimeMs: (reading.number(body, 'uptime_seconds') ?? 0) * 1000,
    durability: reading.text(body, 'durability') ?? '',
    storage: reading.text(body, 'storage') ?? '',
  };
}

export function capabilities(body: Wire): models.Capabilities {
  const server = reading.object(body, 'server') ?? {};
  return {
    name: reading.text(server, 'name') ?? '',
    version: reading.text(server, 'version') ?? '',
    wire: reading.list(body, 'wire', reading.asNumber),
    capabilities: reading.list(body, 'capabilities', reading.asText),
    limits: { ...reading.object(body, 'limits') },
    defaults: { ...reading.object(body, 'defaults') },
  };
}
