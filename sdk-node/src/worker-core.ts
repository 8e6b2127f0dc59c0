/**
 * What a worker decides: small state machines and pure functions. No I/O, no clock, no timers.
 *
 *     slots are free        → Slots            how many jobs to ask for
 *     a pull came back      → Pacer            when to ask again
 *     a batch was answered  → judge()          done, again, or give it up
 *     a heartbeat answered  → newsOf()         which handlers to stop, whether the server finds us deaf
 *
 * Rule 1: instants are milliseconds of a monotonic clock, durations milliseconds; both come in as arguments.
 */

import { BASE_MS, reconnectDelay } from './backoff.ts';
import type { JobwireError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { HeartbeatBatchResult, ItemResult } from './models.ts';
import type { Settlement } from './worker-outcome.ts';

const BATCH_BYTES = 3_145_728; // a batch must fit a line of 4 MiB with room for ids and quoting
const EMPTY_ANSWER_CAP_MS = 1000; // between pulls from a server that does not hold them
const HEARTBEAT_SPACING_MS = 500; // news that stays news must not make a busy loop

/** Codes of a job that is not ours any more. */
export const GONE: ReadonlySet<string> = new Set([
  'LEASE_LOST',
  'JOB_NOT_FOUND',
  'NOT_FOUND',
  'INVALID_STATE',
]);

// --- slots ---------------------------------------------------------------------------------------------------------

/**
 * Counts what a worker holds: free + asked + held = total, always.
 *
 * A slot is asked for before the pull leaves, and held until the job's settlement is answered, so that the worker never
 * holds more leases than its concurrency.
 */
export class Slots {
  readonly total: number;
  #asked = 0;
  #held = 0;

  constructor(total: number) {
    this.total = total;
  }

  get asked(): number {
    return this.#asked;
  }

  get held(): number {
    return this.#held;
  }

  get free(): number {
    return this.total - this.#asked - this.#held;
  }

  /** Reserve every free slot, as many as one pull can fill; 0 when there is none. */
  ask(): number {
    const count = Math.min(this.free, LIMITS.pull_count);
    this.#asked += count;
    return count;
  }

  /** A pull for *asked* slots brought *filled* jobs. */
  answered(asked: number, filled: number): void {
    if (!(0 <= filled && filled <= asked && asked <= this.#asked)) {
      throw new RangeError(`${filled} jobs came for ${asked} slots, ${this.#asked} were asked for`);
    }
    this.#asked -= asked;
    this.#held += filled;
  }

  /** A job is settled or lost, and its handler has ended. */
  vacate(): void {
    if (this.#held < 1) throw new RangeError('no slot is held');
    this.#held -= 1;
  }
}

/** One pull and its repeats: the same requestId, so that a lost answer costs nothing. */
export interface PullPlan {
  readonly count: number;
  readonly requestId: string;
}

/** Keeps a worker from asking in a circle where the server answers an empty pull before its wait is over. */
export class Pacer {
  #early = 0;

  /** How long to pause before the next pull; 0 unless empty answers come early again and again. */
  after({ found, elapsedMs, waitMs, u }: PulledAnswer): number {
    if (found > 0 || (waitMs > 0 && elapsedMs >= waitMs / 2)) {
      this.#early = 0;
      return 0;
    }
    this.#early += 1;
    return reconnectDelay(this.#early - 1, u, BASE_MS, EMPTY_ANSWER_CAP_MS);
  }
}

/** `found` jobs came `elapsedMs` after a pull left that the server could hold for `waitMs`; `u` is uniform in [0, 1). */
export interface PulledAnswer {
  readonly found: number;
  readonly elapsedMs: number;
  readonly waitMs: number;
  readonly u: number;
}

// --- settling ------------------------------------------------------------------------------------------------------

/** What became of one settlement: done, to be sent again, its lease gone, or refused for good. */
export type Verdict = 'done' | 'again' | 'gone' | 'refused';

export function judge(result: ItemResult): Verdict {
  return result.ok || result.error === null ? 'done' : judgeError(result.error);
}

/** As judge(), for a settlement that travelled alone. */
export function judgeError(error: JobwireError): Verdict {
  if (GONE.has(error.code)) return 'gone';
  if (error.retryable || error.code === 'CLIENT_CLOSED') return 'again'; // closed by us: the server said nothing
  return 'refused';
}

/** What became of a job that was asked about alone. */
export function itemResult(id: string, error: JobwireError | null, cancelled = false): ItemResult {
  return {
    id,
    ok: error === null,
    already: false,
    error,
    outcome: null,
    state: null,
    retry: null,
    nextAttemptAt: null,
    leaseExpiresAt: null,
    cancelled,
  };
}

/** Settlements of one kind that travel together; at least one. */
export interface Batch {
  readonly kind: Settlement['kind'];
  readonly items: Settlement[];
}

/** Settlements by kind, each batch within the limits of the wire; the order within a kind stays. */
export function batchesOf(settlements: Iterable<Settlement>): Batch[] {
  const batches: Batch[] = [];
  const open = new Map<Settlement['kind'], { batch: Batch; size: number }>();
  for (const item of settlements) {
    let one = open.get(item.kind);
    if (
      !one ||
      one.batch.items.length >= LIMITS.batch_items ||
      one.size + item.size > BATCH_BYTES
    ) {
      one = { batch: { kind: item.kind, items: [] }, size: 0 };
      open.set(item.kind, one);
      batches.push(one.batch);
    }
    one.batch.items.push(item);
    one.size += item.size;
  }
  return batches;
}

/**
 * Whether a lease may still be ours although we could not renew it.
 *
 * Past its end it may, while the server has not been reached since: a server that was down gives each active lease its
 * whole length again when it starts. Once it answered after that end, without renewing, the lease is over.
 */
export function canStillLive(now: number, expiresAt: number, lastContact: number): boolean {
  return now < expiresAt || lastContact < expiresAt;
}

// --- heartbeats ----------------------------------------------------------------------------------------------------

/**
 * What a heartbeat brought: ids of renewed, of lost and of cancelled jobs, and whether the server finds the worker deaf.
 *
 * `isNews` says whether there was anything to act on, also about jobs that were not asked about.
 */
export interface News {
  readonly renewed: ReadonlySet<string>;
  readonly lost: ReadonlySet<string>;
  readonly cancelled: ReadonlySet<string>;
  readonly deaf: boolean;
  readonly isNews: boolean;
}

/**
 * Read the answer to a heartbeat for the jobs with the ids *sent*.
 *
 * A job that is lost and was not among them may be one that came back under a new lease meanwhile; it counts only when the
 * next heartbeat asks about that lease.
 */
export function newsOf(answer: HeartbeatBatchResult, sent: ReadonlySet<string>): News {
  const renewed = new Set<string>();
  const lost = new Set(answer.lost);
  const cancelled = new Set(answer.cancelled);
  for (const result of answer.results) {
    if (result.ok) renewed.add(result.id);
    if (result.error !== null && GONE.has(result.error.code)) lost.add(result.id);
    if (result.cancelled) cancelled.add(result.id);
  }
  const isNews = lost.size > 0 || cancelled.size > 0 || answer.deaf;
  const asked = new Set([...lost].filter((id) => sent.has(id)));
  return { renewed, lost: asked, cancelled, deaf: answer.deaf, isNews };
}

/**
 * How long to wait for the next heartbeat, *elapsedMs* after the last one left; *held* when the server was asked to hold it.
 *
 * A server that held it is asked again at once, so that it can always tell. After news, and where the answer came early, a
 * little later: a job that stays cancelled is news again and again. Others are asked once an interval.
 */
export function heartbeatPause(beat: {
  readonly elapsedMs: number;
  readonly held: boolean;
  readonly intervalMs: number;
  readonly isNews: boolean;
}): number {
  const { elapsedMs, held, intervalMs, isNews } = beat;
  if (!held) return Math.max(intervalMs - elapsedMs, 0);
  if (elapsedMs >= intervalMs / 2 && !isNews) return 0;
  return Math.max(Math.min(HEARTBEAT_SPACING_MS, intervalMs) - elapsedMs, 0);
}

/** Decides when a worker that the server calls deaf builds its connection anew: at once, then once an interval at most. */
export class Hearing {
  readonly #intervalMs: number;
  #rebuiltAt = Number.NEGATIVE_INFINITY;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Whether to rebuild now; a worker without free slots has a reason not to ask. */
  mustRebuild({ deaf, free, now }: { deaf: boolean; free: number; now: number }): boolean {
    if (!deaf || free < 1 || now - this.#rebuiltAt < this.#intervalMs) return false;
    this.#rebuiltAt = now;
    return true;
  }
}

// --- a blocked event loop ------------------------------------------------------------------------------------------

/** Tells once per block that an event loop has not run for longer than a limit, and how long that lasted. */
export class BlockDetector {
  readonly #limitMs: number;
  #askedAt: number | null = null;
  #isTold = false;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** What to do now: ask the loop for a sign of life, wait for it, or report that it is blocked. */
  check(now: number): 'ask' | 'wait' | 'blocked' {
    if (this.#askedAt === null) {
      this.#askedAt = now;
      return 'ask';
    }
    if (now - this.#askedAt < this.#limitMs || this.#isTold) return 'wait';
    this.#isTold = true;
    return 'blocked';
  }

  /** The loop ran; how long it had not when that was a block, else null. */
  answered(now: number): number | null {
    const lasted = this.silentMs(now);
    this.#askedAt = null;
    this.#isTold = false;
    return lasted >= this.#limitMs ? lasted : null;
  }

  /** How long the loop has owed an answer; 0 when it owes none. */
  silentMs(now: number): number {
    return this.#askedAt === null ? 0 : now - this.#askedAt;
  }
}
