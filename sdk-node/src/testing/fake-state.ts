/**
 * What the fake server knows: jobs, queues and workers in memory, at an instant that only `advance` moves. Pure: no sockets,
 * no real time, no chance from outside.
 */

import { formatUuid7 } from '../ids.ts';
import type { Answer, FakeJob, Listening } from './fake-job.ts';
import { isFinished, leaseOf } from './fake-job.ts';
import { seeded } from './fake-random.ts';

export type PauseMode = 'push' | 'pull' | 'both';

export const SETTINGS = [
  'lease_ms',
  'max_length',
  'retention_completed_ms',
  'retention_dlq_ms',
  'retention_cancelled_ms',
] as const;

/** What a person set for a queue; null means the default. */
export interface QueueState {
  paused: PauseMode | null;
  readonly settings: Record<(typeof SETTINGS)[number], number | null>;
}

/** What a worker last reported, and the jobs it lost or should stop and has not been told of. */
export interface WorkerState {
  readonly id: string;
  readonly firstSeenAt: number;
  lastSeenAt: number;
  lastPullAt: number | null;
  report: Answer;
  transport: string;
  client: string | null;
  deaf: boolean;
  readonly lost: Set<string>;
  readonly cancelled: Set<string>;
}

export class FakeState {
  /** Milliseconds since the epoch. */
  now: number;
  jobs = new Map<string, FakeJob>();
  readonly queues = new Map<string, QueueState>();
  readonly workers = new Map<string, WorkerState>();
  /** The job that took a unique key last, by `keyOf`. */
  keys = new Map<string, string>();
  /** What a pull with a request_id took: ids of jobs and the numbers of their deliveries. */
  readonly claims = new Map<string, readonly (readonly [string, number])[]>();
  /** What TCP sessions should hear; emptied by whoever sends it. */
  notices: (readonly [Listening, Answer])[] = [];
  /** Of the job that was accepted last. */
  sequence = 0;
  /** Decides backoff jitter, weighted pulls and ids. */
  readonly random: () => number;

  constructor(now: number, seed = 0) {
    this.now = now;
    this.random = seeded(seed);
  }

  newId(): string {
    return formatUuid7(
      this.now,
      this.sequence,
      Uint8Array.from({ length: 8 }, () => this.random() * 256),
    );
  }

  /** Every job of *queue* that was not removed, in the order of acceptance. */
  ofQueue(queue: string): FakeJob[] {
    return [...this.jobs.values()].filter((job) => job.queue === queue && job.state !== 'removed');
  }

  queue(name: string): Readonly<QueueState> {
    return this.queues.get(name) ?? newQueue();
  }

  /** The settings of a queue, to be changed. */
  queueToChange(name: string): QueueState {
    return entryOf(this.queues, name, newQueue);
  }

  /** The worker of this name, seen now. */
  seenWorker(id: string, transport: string, client: string | null = null): WorkerState {
    const worker = entryOf(this.workers, id, () => newWorker(id, this.now));
    worker.lastSeenAt = this.now;
    worker.transport = transport;
    worker.client = client ?? worker.client;
    return worker;
  }

  /** How many jobs a worker holds. */
  heldBy(workerId: string): number {
    const jobs = [...this.jobs.values()];
    return jobs.filter((job) => job.state === 'active' && job.worker_id === workerId).length;
  }

  /** The job that holds a unique key now: unfinished, or within its window; null when the key is free. */
  holder(queue: string, uniqueKey: string | null): FakeJob | null {
    if (uniqueKey === null) return null;
    const job = this.jobs.get(this.keys.get(keyOf(queue, uniqueKey)) ?? '');
    if (job === undefined) return null;
    return !isFinished(job) || job.created_at + (job.unique_for_ms ?? 0) > this.now ? job : null;
  }

  takeKey(job: FakeJob): void {
    if (job.unique_key !== null) this.keys.set(keyOf(job.queue, job.unique_key), job.id);
  }

  /** Have the session that pulled *job* hear of this. */
  notify(notice: 'job.cancel' | 'lease.lost', job: FakeJob): void {
    if (job.owner !== null) {
      this.notices.push([job.owner, { notice, id: job.id, lease: leaseOf(job) }]);
    }
  }
}

function keyOf(queue: string, uniqueKey: string): string {
  return JSON.stringify([queue, uniqueKey]);
}

function newQueue(): QueueState {
  const settings = Object.fromEntries(SETTINGS.map((name) => [name, null]));
  return { paused: null, settings: settings as QueueState['settings'] };
}

function newWorker(id: string, now: number): WorkerState {
  return {
    id,
    firstSeenAt: now,
    lastSeenAt: now,
    lastPullAt: null,
    report: {},
    transport: 'http',
    client: null,
    deaf: false,
    lost: new Set(),
    cancelled: new Set(),
  };
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
