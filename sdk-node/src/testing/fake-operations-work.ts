/** What producers and workers ask of the fake server: pushing, pulling, and word of the jobs that a worker holds. */

import {
  alreadyOr,
  type Caller,
  countOk,
  each,
  type Operation,
  refusedItem,
} from './fake-answers.ts';
import { BadItem } from './fake-check.ts';
import { type Answer, instantText, jobView, Refused } from './fake-job.ts';
import * as leases from './fake-leases.ts';
import { circular, type PushFields, parentsFirst, push, pushAll } from './fake-push.ts';
import type { FakeState, WorkerState } from './fake-state.ts';

// The codes of jobs that a worker no longer holds.
const GONE: readonly string[] = ['LEASE_LOST', 'JOB_NOT_FOUND', 'INVALID_STATE'];

interface HeartbeatFields {
  readonly items?: readonly (leases.LeaseFields & { readonly lease_ms?: number })[];
  readonly worker?: Answer & { readonly id: string };
  readonly wait_ms?: number;
}

interface BatchFields {
  readonly queue: string;
  readonly jobs: readonly (PushFields | BadItem)[];
  readonly atomic?: boolean;
}

const pushOne: Operation<PushFields & { readonly queue: string }> = (state, fields) => {
  const { queue, ...item } = fields;
  return { ...push(state, queue, item) };
};

const pushBatch: Operation<BatchFields> = (state, { queue, jobs, atomic = true }) => {
  if (atomic) {
    const pushed = pushAll(state, queue, jobs as readonly PushFields[]);
    return { ids: pushed.map(({ id }) => id), outcomes: pushed.map(({ outcome }) => outcome) };
  }
  const results = pushEach(state, queue, jobs);
  return {
    ids: results.map(({ id, ok }) => (ok ? id : null)),
    outcomes: results.map(({ outcome }) => outcome ?? null),
    results,
  };
};

/** The outcome of each job, in their order; those with bad fields and those in a circle are refused (JW-PUSH-7). */
function pushEach(state: FakeState, queue: string, jobs: BatchFields['jobs']): Answer[] {
  const good = [...jobs.entries()].filter(
    (entry): entry is [number, PushFields] => !(entry[1] instanceof BadItem),
  );
  const done = new Map<number, Answer>();
  for (const at of parentsFirst(good.map(([, job]) => job))) {
    const [index, job] = good[at] as [number, PushFields];
    done.set(index, pushOfBatch(state, queue, job, index));
  }
  return jobs.map((job, index) => {
    if (job instanceof BadItem) return refusedItem(job.id, job.refusal);
    return done.get(index) ?? refusedItem(job.id ?? null, circular(index));
  });
}

function pushOfBatch(state: FakeState, queue: string, job: PushFields, index: number): Answer {
  try {
    return { ok: true, ...push(state, queue, job, `/jobs/${index}`) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return refusedItem(job.id ?? null, error);
  }
}

const pull: Operation<leases.PullFields> = (state, fields, caller) => {
  if (fields.worker_id !== undefined) {
    const worker = state.seenWorker(fields.worker_id, caller.door, caller.client);
    worker.lastPullAt = state.now;
    worker.deaf = false;
  }
  const jobs = leases.pull(state, fields, caller.session);
  const views = jobs.map((job) => jobView(job, { lease: true }));
  return (fields.count ?? 1) === 1 ? { job: views[0] ?? null } : { jobs: views };
};

const ack: Operation<Parameters<typeof leases.ack>[1]> = (state, fields) =>
  alreadyOr(leases.ack(state, fields), {});

const ackBatch: Operation<{
  readonly items?: readonly leases.LeaseFields[];
  readonly ids?: readonly string[];
}> = (state, { items, ids = [] }, caller) => {
  const results = each(items ?? ids.map((id) => ({ id })), (item) => ack(state, item, caller));
  const acked = countOk(results);
  return { acked, failed: results.length - acked, results };
};

const fail: Operation<leases.FailFields> = (state, fields) => {
  const already = leases.fail(state, fields);
  const job = state.jobs.get(fields.id);
  const isTriedAgain = job?.state === 'waiting' || job?.state === 'delayed';
  const at = job?.state === 'delayed' ? instantText(job.run_at) : null;
  return alreadyOr(already, {
    retry: isTriedAgain,
    will_retry: isTriedAgain,
    next_attempt_at: at,
  });
};

const failBatch: Operation<{ readonly items: readonly leases.FailFields[] }> = (
  state,
  { items },
  caller,
) => {
  const results = each(items, (item) => {
    const answer = fail(state, item, caller);
    return { ...answer, next_attempt_at: answer.next_attempt_at ?? undefined }; // only with a time
  });
  const failed = countOk(results);
  return { failed, refused: results.length - failed, results };
};

const release: Operation<Parameters<typeof leases.release>[1]> = (state, fields) => {
  const already = leases.release(state, fields);
  return alreadyOr(already, { state: state.jobs.get(fields.id)?.state });
};

const heartbeat: Operation<Parameters<typeof leases.heartbeat>[1]> = (state, fields) => {
  const job = leases.heartbeat(state, fields);
  const answer = { lease_expires_at: instantText(job.lease_expires_at) };
  return job.cancel_requested_at === null ? answer : { ...answer, cancelled: true };
};

const heartbeatBatch: Operation<HeartbeatFields> = (state, fields, caller) => {
  const { items = [], worker: report, wait_ms: waitMs = 0 } = fields;
  const results = each(items, (item) => heartbeat(state, item, caller));
  const worker = report === undefined ? null : noteReport(state, report, caller);
  const answer = {
    results,
    lost: results.filter(isGone).map(({ id }) => id),
    cancelled: results.filter((result) => result.cancelled).map(({ id }) => id),
    deaf: worker?.deaf ?? false,
  };
  return worker !== null && waitMs > 0 ? addNews(state, answer, worker.id) : answer;
};

function isGone({ error }: Answer): boolean {
  return GONE.includes((error as { code?: string } | undefined)?.code ?? '');
}

/** Keep what a worker says of itself. */
export function noteReport(
  state: FakeState,
  report: Answer & { readonly id: string },
  caller: Caller,
): WorkerState {
  const worker = state.seenWorker(report.id, caller.door, caller.client);
  worker.report = report;
  return worker;
}

/** The answer with what else this worker should know, which is told once: jobs to stop, and leases it lost. */
export function addNews(state: FakeState, answer: Answer, workerId: string): Answer {
  const worker = state.workers.get(workerId);
  const lost = new Set([...(answer.lost as string[]), ...(worker?.lost ?? [])]);
  const cancelled = new Set([...(answer.cancelled as string[]), ...(worker?.cancelled ?? [])]);
  worker?.lost.clear();
  worker?.cancelled.clear();
  return { ...answer, lost: [...lost], cancelled: [...cancelled] };
}

const progress: Operation<Parameters<typeof leases.progress>[1]> = (state, fields) => {
  leases.progress(state, fields);
  return {};
};

export const WORK = {
  push: pushOne,
  push_batch: pushBatch,
  pull,
  ack,
  ack_batch: ackBatch,
  fail,
  fail_batch: failBatch,
  release,
  heartbeat,
  heartbeat_batch: heartbeatBatch,
  progress,
} as const;
