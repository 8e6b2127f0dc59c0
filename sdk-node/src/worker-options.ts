/** The options of a worker, their defaults, and what is refused. */

import { LIMITS } from './limits.ts';
import type { Job } from './models.ts';
import type { Wrapper } from './worker-handlers.ts';

const HEARTBEATS_A_LEASE = 3; // two may be lost before the lease is
const CONCURRENCY_MAX = 100_000;
const SILENCE_MIN_MS = 1000;

/** What a worker can be told. Durations are milliseconds. */
export interface WorkerOptions {
  /** Names of queues, tried in order. At least one, at most 64. */
  readonly queues: string | readonly string[];
  /** Jobs at a time, 1 to 100,000. A job is only asked for when there is a slot for it. @default 8 */
  readonly concurrency?: number | undefined;
  /** How long a job is held without a sign of life, 1,000 to 43,200,000. @default 30_000 */
  readonly leaseMs?: number | undefined;
  /**
   * How long the server holds a pull open while nothing is ready, at most 60,000. Over HTTP not for more than half of
   * `heartbeatMs`, or of a second where that is longer. @default 20_000
   */
  readonly waitMs?: number | undefined;
  /** One a queue, whole numbers of at least 1; the order of the queues is then drawn in proportion. @default as listed */
  readonly weights?: readonly number[] | undefined;
  /** Only jobs with these names. @default all: a job without a handler fails, and is tried again */
  readonly names?: readonly string[] | undefined;
  /**
   * Between two heartbeats; below `leaseMs`. A connection on which the server leaves a request unanswered and says nothing
   * for as long, or for a second where that is longer, is given up. @default a third of `leaseMs`
   */
  readonly heartbeatMs?: number | undefined;
  /**
   * How long running jobs have to end after SIGTERM, counted from the signal; the others are then given back, with no
   * attempt burnt. @default 30_000
   */
  readonly graceMs?: number | undefined;
  /** How the server shows this worker. @default made from host, process and chance */
  readonly workerId?: string | undefined;
  /** Called once for each handler; what it returns runs in its place. For logging, tracing, error tracking. */
  readonly wrap?: Wrapper | undefined;
  /** Called with each error that a handler or a loop of the worker threw, and the job or null. */
  readonly onError?: ((error: unknown, job: Job | null) => void) | undefined;
  /** How long the event loop may stand still before it counts as blocked, which is logged. @default 1_000 */
  readonly blockWarningMs?: number | undefined;
}

/** The options that take part in decisions, checked and complete. */
export interface WorkerSettings {
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly leaseMs: number;
  readonly waitMs: number;
  readonly weights: readonly number[] | undefined;
  readonly names: readonly string[] | undefined;
  readonly heartbeatMs: number;
  readonly graceMs: number;
  readonly workerId: string;
  readonly blockWarningMs: number;
}

/** The settings, or TypeError with what was expected and what came. *makeId* is called when there is no `workerId`. */
export function checkOptions(options: WorkerOptions, makeId: () => string): WorkerSettings {
  const { queues, leaseMs = 30_000, heartbeatMs, weights, names } = options;
  const settings: WorkerSettings = {
    queues: typeof queues === 'string' ? [queues] : [...(queues ?? [])],
    concurrency: options.concurrency ?? 8,
    leaseMs,
    waitMs: options.waitMs ?? 20_000,
    weights: weights && [...weights],
    names: names && [...names],
    heartbeatMs: heartbeatMs ?? leaseMs / HEARTBEATS_A_LEASE,
    graceMs: options.graceMs ?? 30_000,
    workerId: options.workerId ?? makeId(),
    blockWarningMs: options.blockWarningMs ?? 1000,
  };
  checkNumbers(settings);
  expect(
    settings.queues.length > 0 && settings.queues.every((each) => typeof each === 'string'),
    'queues to name at least one queue',
    queues,
  );
  expect(
    weights === undefined ||
      (weights.length === settings.queues.length && weights.every((each) => isWhole(each, 1))),
    'weights to be one whole number of at least 1 a queue',
    weights,
  );
  expect(settings.workerId !== '', 'workerId to be a name', settings.workerId);
  return settings;
}

/** How long the server may say nothing while a pull or a settlement is unanswered (JW-SDK-13). */
export function silenceMsOf({ heartbeatMs }: Pick<WorkerSettings, 'heartbeatMs'>): number {
  return Math.max(heartbeatMs, SILENCE_MIN_MS);
}

/** How long a pull may wait. Over HTTP nothing tells one that waits from one that is lost: it has to end in time. */
export function longestWaitMs(settings: WorkerSettings, isTcp: boolean): number {
  if (isTcp) return settings.waitMs;
  return Math.min(settings.waitMs, Math.floor(silenceMsOf(settings) / 2));
}

function checkNumbers(settings: WorkerSettings): void {
  const { concurrency, leaseMs, waitMs, heartbeatMs, graceMs, blockWarningMs } = settings;
  const { lease_ms_min: low, lease_ms_max: high, wait_ms: longest } = LIMITS;
  expect(
    isWhole(concurrency, 1, CONCURRENCY_MAX),
    `concurrency to be a whole number from 1 to ${CONCURRENCY_MAX}`,
    concurrency,
  );
  expect(leaseMs >= low && leaseMs <= high, `leaseMs to be ${low} to ${high}`, leaseMs);
  expect(waitMs >= 0 && waitMs <= longest, `waitMs to be 0 to ${longest}`, waitMs);
  expect(
    heartbeatMs > 0 && heartbeatMs < leaseMs,
    'heartbeatMs to be above 0 and below leaseMs',
    heartbeatMs,
  );
  expect(graceMs >= 0 && Number.isFinite(graceMs), 'graceMs to be 0 or more', graceMs);
  expect(
    blockWarningMs > 0 && Number.isFinite(blockWarningMs),
    'blockWarningMs to be above 0',
    blockWarningMs,
  );
}

function isWhole(value: number, low: number, high = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isSafeInteger(value) && value >= low && value <= high;
}

function expect(claim: boolean, what: string, got: unknown): void {
  if (!claim) throw new TypeError(`expected ${what}, got ${JSON.stringify(got)}`);
}
