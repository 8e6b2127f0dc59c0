/**
 * The heart of a worker: one loop with one connection that keeps leases alive and hears what the server has to say.
 *
 * It runs in a thread of its own where there are threads (`worker-heart-thread`), else in the event loop of the handlers.
 * Either way it knows of the worker only what a HeartView says, and tells what it hears as HeartEvents, which are plain
 * data. Instants are milliseconds of `clock`, which is the same in all threads of a process.
 */

import type { SiblingTimes } from './client-core.ts';
import { isJobwireError, type JobwireError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { HeartbeatBatchResult, HeartbeatResult, ItemResult, WorkerReport } from './models.ts';
import type { Runtime } from './runtime.ts';
import { GONE, heartbeatPause, itemResult, newsOf } from './worker-core.ts';
import { beatOf, joined, reportOf } from './worker-heart-words.ts';
import { Link } from './worker-link.ts';
import { silenceMsOf } from './worker-options.ts';

const CHANNEL = 'heartbeat';

/** How long a worker waits, before it asks for jobs, for the server to know it. */
export const FIRST_BEAT_MS = 1000;

/** Milliseconds of the machine's monotonic clock, the same in all threads; performance.now() is not. */
export function clock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** One lease to be kept alive. */
export interface HeldView {
  readonly id: string;
  readonly lease: string | null;
  readonly key: string;
  /** When the job's own timeout is over; null for a job without one. */
  readonly endsAt: number | null;
}

/** What a heartbeat says of the worker. */
export interface ReportView {
  readonly free: number;
  readonly state: 'running' | 'quiet';
  /** When it last asked for jobs; null before the first time. */
  readonly lastPullAt: number | null;
}

/** The worker, as the heart sees it. */
export interface HeartView {
  held(): Iterable<HeldView>;
  report(): ReportView;
}

/** What does not change. */
export interface HeartSettings {
  readonly workerId: string;
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly heartbeatMs: number;
}

/** An answered heartbeat, `renewed` and `lost` are keys of leases, `report` is what it had said. */
export interface Beat {
  readonly kind: 'beat';
  readonly startedAt: number;
  readonly endedAt: number;
  readonly renewed: readonly string[];
  readonly lost: readonly string[];
  /** Ids of jobs. */
  readonly cancelled: readonly string[];
  readonly deaf: boolean;
  readonly report: ReportView;
}

/** A heartbeat without an answer; an error's members that matter, since an error loses them between threads. */
export interface Miss {
  readonly kind: 'miss';
  readonly at: number;
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
}

export type HeartEvent = Beat | Miss;

/** What the heart needs of a client, whose calls it never has repeated. */
export interface HeartClient {
  heartbeatBatch(
    items: readonly { readonly id: string; readonly lease: string | null }[],
    options?: { worker?: WorkerReport; waitMs?: number; signal?: AbortSignal },
  ): Promise<HeartbeatBatchResult>;
  heartbeat(
    job: { readonly id: string; readonly lease: string | null },
    options?: { signal?: AbortSignal },
  ): Promise<HeartbeatResult>;
}

export interface HeartParts {
  readonly client: HeartClient;
  readonly view: HeartView;
  readonly settings: HeartSettings;
  readonly runtime: Pick<Runtime, 'random' | 'sleep'>;
  readonly tell: (event: HeartEvent) => void;
}

/**
 * How long an answer may be overdue before the connection counts as dead, and how long making one may take.
 *
 * A lease of three intervals must outlive one held heartbeat, one that gets lost, and the one that replaces it: 1 (held) +
 * 1/2 (overdue) leaves room; the 30 s of a client do not.
 */
export function heartTimes(settings: { readonly heartbeatMs: number }): SiblingTimes {
  const timeoutMs = Math.max(settings.heartbeatMs / 2, 250);
  return { timeoutMs, connectTimeoutMs: silenceMsOf(settings) };
}

/**
 * Sends a heartbeat for all held leases every `heartbeatMs`, and tells the answers.
 *
 * The server holds each heartbeat for that long unless a job of this worker is cancelled or lost, so that it is heard in a
 * moment over HTTP as over TCP.
 */
export class Heart {
  readonly #parts: HeartParts;
  readonly #link = new Link(); // of this channel alone; the worker has the one that logs
  #poked = new AbortController();
  #isStopped = false;
  #saidQuiet = false;
  #wasHeard = false;
  #speaksBatches = true; // false after an UNKNOWN_COMMAND: a server of wire version 1

  constructor(parts: HeartParts) {
    this.#parts = parts;
  }

  /** Send the next heartbeat now, to say that the worker has changed. The answer to the one that waits is dropped. */
  poke(): void {
    this.#poked.abort();
  }

  /** End `run` soon. Idempotent. */
  stop(): void {
    this.#isStopped = true;
    this.#poked.abort();
  }

  /** Beat until `stop`. A bug rejects; whoever started this then runs it anew. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      if (this.#poked.signal.aborted) this.#poked = new AbortController();
      await this.#pause(await this.#beat(this.#poked.signal));
    }
  }

  /** One heartbeat; how long to wait until the next one. */
  async #beat(signal: AbortSignal): Promise<number> {
    const startedAt = clock();
    const sent = [...this.#parts.view.held()];
    const report = this.#parts.view.report();
    let answer: HeartbeatBatchResult;
    try {
      answer = await this.#send(sent, report, startedAt, signal);
    } catch (error) {
      if (signal.aborted) return 0; // we ended the call ourselves
      if (!isJobwireError(error)) throw error;
      return this.#missed(error);
    }
    this.#link.answered(CHANNEL, startedAt);
    this.#wasHeard = true;
    if (report.state === 'quiet') this.#saidQuiet = true;
    const news = newsOf(answer, new Set(sent.map((held) => held.id)));
    const endedAt = clock();
    this.#parts.tell(beatOf({ startedAt, endedAt, sent, report, news }));
    return heartbeatPause({
      elapsedMs: endedAt - startedAt,
      held: this.#speaksBatches,
      intervalMs: this.#parts.settings.heartbeatMs,
      isNews: news.isNews,
    });
  }

  /**
   * How long the server may hold a heartbeat; not the one that brings it news, nor while the connection is in doubt.
   *
   * The first one is hardly held: from it on the server keeps news for this worker, so that none is missed between two.
   */
  #holdMs(report: ReportView): number {
    if (!this.#wasHeard) return 1;
    if (report.state === 'quiet' && !this.#saidQuiet) return 0;
    if (this.#link.isFailing(CHANNEL)) return 0;
    return Math.min(this.#parts.settings.heartbeatMs, LIMITS.wait_ms);
  }

  async #send(
    sent: readonly HeldView[],
    report: ReportView,
    now: number,
    signal: AbortSignal,
  ): Promise<HeartbeatBatchResult> {
    const { client, settings } = this.#parts;
    if (!this.#speaksBatches) return this.#sendSingly(sent, signal);
    const worker = reportOf(settings, report, now);
    const answers: HeartbeatBatchResult[] = [];
    let rest = sent;
    for (; rest.length > LIMITS.batch_items; rest = rest.slice(LIMITS.batch_items)) {
      const items = rest.slice(0, LIMITS.batch_items);
      answers.push(await client.heartbeatBatch(items.map(itemOf), { signal }));
    }
    const waitMs = this.#holdMs(report);
    answers.push(await client.heartbeatBatch(rest.map(itemOf), { worker, waitMs, signal }));
    return joined(answers);
  }

  async #sendSingly(sent: readonly HeldView[], signal: AbortSignal): Promise<HeartbeatBatchResult> {
    const results: ItemResult[] = [];
    for (const held of sent) {
      try {
        const { cancelled } = await this.#parts.client.heartbeat(itemOf(held), { signal });
        results.push(itemResult(held.id, null, cancelled));
      } catch (error) {
        if (signal.aborted || !isJobwireError(error) || !GONE.has(error.code)) throw error;
        results.push(itemResult(held.id, error));
      }
    }
    return { results, lost: [], cancelled: [], deaf: false };
  }

  #missed(error: JobwireError): number {
    if (error.code === 'UNKNOWN_COMMAND' && this.#speaksBatches) {
      this.#speaksBatches = false;
      return 0;
    }
    const { settings, runtime, tell } = this.#parts;
    const { code, message, retryable, retryAfterMs } = error;
    const at = clock();
    this.#link.failed(CHANNEL, at);
    tell({ kind: 'miss', at, code, message, retryable, retryAfterMs });
    return Math.min(this.#link.delay(CHANNEL, error, runtime.random()), settings.heartbeatMs);
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#poked;
    if (ms <= 0 || signal.aborted) return;
    await this.#parts.runtime.sleep(ms, signal).catch(() => {}); // poked: the next one leaves now
  }
}

function itemOf({ id, lease }: HeldView): { id: string; lease: string | null } {
  return { id, lease };
}
