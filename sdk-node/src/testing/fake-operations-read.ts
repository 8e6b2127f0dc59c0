/** What everybody else asks of the fake server: about jobs, queues, dead letters, flows and workers. */

import { alreadyOr, countOk, countsOf, each, type Operation, pageOf } from './fake-answers.ts';
import * as asked from './fake-asked.ts';
import { type Answer, type FakeJob, instantText, jobView, Refused } from './fake-job.ts';
import { type FakeState, type PauseMode, SETTINGS, type WorkerState } from './fake-state.ts';

const FLOW_LIMIT = 1000;
const SAME = ['queue', 'name', 'group_id', 'flow_id', 'custom_id'] as const;

type JobFields = { readonly id: string };
type QueueFields = { readonly queue: string };
type PageFields = { readonly cursor?: string; readonly limit?: number };

interface FindFields extends PageFields {
  readonly queue?: string;
  readonly name?: string;
  readonly group_id?: string;
  readonly flow_id?: string;
  readonly custom_id?: string;
  readonly state?: readonly string[];
  readonly tag?: string;
  readonly created_after?: number;
  readonly created_before?: number;
}

interface DlqFields extends QueueFields {
  readonly ids?: readonly string[];
  readonly limit?: number;
}

const cancel: Operation<JobFields> = (state, { id }) => {
  const { job, already } = asked.cancel(state, id);
  return alreadyOr(already, { state: job.state });
};

const retry: Operation<JobFields> = (state, { id }) => ({ state: asked.retry(state, id).state });

const promote: Operation<JobFields> = (state, { id }) => {
  const { job, already } = asked.promote(state, id);
  return alreadyOr(already, { state: job.state });
};

const get: Operation<JobFields> = (state, { id }, { door, version }) => {
  try {
    return { job: jobView(asked.get(state, id)) };
  } catch (error) {
    // What RustQueue's clients look for.
    if (error instanceof Refused && door === 'tcp' && version === 1) error.code = 'NOT_FOUND';
    throw error;
  }
};

const remove: Operation<JobFields> = (state, { id }) => {
  asked.remove(state, id);
  return {};
};

const find: Operation<FindFields> = (state, fields) => {
  const found = [...state.jobs.values()].filter((job) => matches(job, fields));
  found.sort((one, other) => other.sequence - one.sequence);
  return pageOf(found, fields, (job) => [job.sequence]);
};

function matches(job: FakeJob, wanted: FindFields): boolean {
  const { state, tag, created_after: after = 0, created_before: before = Infinity } = wanted;
  return (
    job.state !== 'removed' &&
    SAME.every((name) => wanted[name] === undefined || wanted[name] === job[name]) &&
    (state === undefined || state.includes(job.state)) &&
    (tag === undefined || job.tags.includes(tag)) &&
    after <= job.created_at &&
    job.created_at < before
  );
}

// --- queues ----------------------------------------------------------------------------------------------------------

const queues: Operation<Answer> = (state) => {
  const names = new Set<string>();
  for (const job of state.jobs.values()) if (job.state !== 'removed') names.add(job.queue);
  for (const [name, { paused, settings }] of state.queues) {
    if (paused !== null || Object.values(settings).some((value) => value !== null)) names.add(name);
  }
  return { queues: [...names].sort().map((name) => entryOf(state, name)) };
};

function entryOf(state: FakeState, name: string): Answer {
  const { paused } = state.queue(name);
  return { name, counts: countsOf(state.ofQueue(name)), paused };
}

const queue: Operation<QueueFields> = (state, { queue: name }) => {
  const { settings } = state.queue(name);
  const oldest = oldestWaitingMs(state, name);
  return { queue: { ...entryOf(state, name), settings, oldest_waiting_ms: oldest } };
};

function oldestWaitingMs(state: FakeState, name: string): number | null {
  const waiting = state.ofQueue(name).filter((job) => job.state === 'waiting');
  return waiting.length === 0 ? null : state.now - Math.min(...waiting.map((job) => job.run_at));
}

const queueUpdate: Operation<QueueFields & Readonly<Record<string, unknown>>> = (
  state,
  fields,
  caller,
) => {
  const { settings } = state.queueToChange(fields.queue);
  for (const name of SETTINGS) if (name in fields) settings[name] = fields[name] as number | null;
  return queue(state, fields, caller);
};

const stats: Operation<QueueFields> = (state, { queue: name }) => ({
  counts: countsOf(state.ofQueue(name)),
  paused: state.queue(name).paused,
  oldest_waiting_ms: oldestWaitingMs(state, name),
});

const queuePause: Operation<QueueFields & { readonly mode?: PauseMode }> = (state, fields) => {
  const { mode = 'pull' } = fields;
  state.queueToChange(fields.queue).paused = mode;
  return { paused: mode };
};

const queueResume: Operation<QueueFields> = (state, fields) => {
  state.queueToChange(fields.queue).paused = null;
  return { paused: null };
};

// --- dead letters ----------------------------------------------------------------------------------------------------

const dlq: Operation<QueueFields & PageFields> = (state, fields) => {
  const newest = asked.oldestDead(state, fields.queue).reverse();
  return pageOf(newest, fields, (job) => [job.finished_at ?? 0, job.sequence]);
};

function eachDead(operation: Operation<JobFields>): Operation<DlqFields> {
  return (state, fields, caller) => {
    const { queue: name, limit = FLOW_LIMIT } = fields;
    const oldest = asked.oldestDead(state, name).map(({ id }) => id);
    const chosen = fields.ids ?? oldest.slice(0, limit);
    const results = each(
      chosen.map((id) => ({ id })),
      (item) => {
        asked.checkDeadLetter(state, name, item.id);
        return operation(state, item, caller);
      },
    );
    const remaining = asked.oldestDead(state, name).length;
    return { count: countOk(results), results, remaining };
  };
}

// --- flows and workers -----------------------------------------------------------------------------------------------

const flow: Operation<{ readonly flow_id: string }> = (state, wanted) => {
  const jobs = [...state.jobs.values()].filter((job) => matches(job, wanted));
  jobs.sort((one, other) => one.sequence - other.sequence);
  return {
    ...wanted,
    jobs: jobs.slice(0, FLOW_LIMIT).map((job) => jobView(job)),
    summary: { total: jobs.length, ...countsOf(jobs) },
  };
};

const workers: Operation<Answer> = (state) => {
  const sorted = [...state.workers.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
  return { workers: sorted.map((worker) => workerView(state, worker)) };
};

function workerView(state: FakeState, worker: WorkerState): Answer {
  const { report } = worker;
  const said = report.state === 'quiet' ? 'quiet' : 'alive';
  return {
    id: worker.id,
    queues: report.queues ?? [],
    concurrency: report.concurrency ?? null,
    free: report.free ?? null,
    held: state.heldBy(worker.id),
    state: worker.deaf ? 'deaf' : said,
    client: worker.client,
    transport: worker.transport,
    first_seen_at: instantText(worker.firstSeenAt),
    last_seen_at: instantText(worker.lastSeenAt),
    last_pull_at: instantText(worker.lastPullAt),
  };
}

export const READS = {
  cancel,
  retry,
  promote,
  get,
  delete: remove,
  find,
  queues,
  queue,
  queue_update: queueUpdate,
  stats,
  queue_pause: queuePause,
  queue_resume: queueResume,
  dlq,
  dlq_retry: eachDead(retry),
  dlq_discard: eachDead(remove),
  flow,
  workers,
} as const;
