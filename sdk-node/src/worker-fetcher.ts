/** Asks for jobs when there are slots for them, over a connection of its own. */

import { isJobwireError } from './errors.ts';
import type { Log } from './log.ts';
import type { Job } from './models.ts';
import type { PullOptions } from './options.ts';
import type { Runtime } from './runtime.ts';
import type { NoticeCallback } from './transport.ts';
import { Pacer, type PullPlan, type Slots } from './worker-core.ts';
import type { SharedLink } from './worker-link.ts';
import { type Changes, keep, type LoopParts } from './worker-loops.ts';
import type { WorkerSettings } from './worker-options.ts';

const CHANNEL = 'fetch';
const NOTICE_MS = 2000; // for the last pull to be answered
const INTERRUPT_MS = 100; // between two interrupts; a pull may start in the moment of one

/** What the fetcher needs of a connection. */
export interface FetchClient {
  pull(queues: readonly string[], options: PullOptions): Promise<readonly Job[]>;
  subscribe(callback: NoticeCallback): void;
  interruptWaits(): void;
  close(): Promise<void>;
}

export interface FetcherParts {
  readonly connect: (timeoutMs?: number) => FetchClient;
  readonly slots: Slots;
  readonly changes: Changes;
  readonly link: SharedLink;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly settings: WorkerSettings;
  readonly loop: LoopParts;
  /** Called with jobs whose slots are held, in the moment in which they came. */
  readonly accept: (jobs: readonly Job[]) => void;
  readonly onNotice: NoticeCallback;
  /** Called when a pull leaves. */
  readonly onPull: () => void;
  /** Called when a pull has failed: other connections may be dead, too. */
  readonly onFailure: () => void;
}

/** One connection and the loop that pulls over it. */
interface Line {
  readonly client: FetchClient;
  readonly ending: AbortController;
  readonly done: Promise<void>;
}

/**
 * Pulls until it is stopped. A pull that got no answer is repeated with its request id, also over the next connection, and
 * once more when the worker drains: what it was given must not wait for its lease.
 */
export class Fetcher {
  readonly #parts: FetcherParts;
  readonly #pacer = new Pacer();
  #plan: PullPlan | null = null; // the pull that has no answer yet
  #line: Line | null = null;
  readonly #draining = new AbortController();
  readonly #left = new Set<Promise<unknown>>(); // lines that were left and have not ended yet

  constructor(parts: FetcherParts) {
    this.#parts = parts;
  }

  start(): void {
    const { connect, onNotice, loop } = this.#parts;
    const client = connect();
    client.subscribe(onNotice);
    const ending = new AbortController();
    const run = (): Promise<void> => this.#fetch(client, ending.signal);
    const done = keep(CHANNEL, run, ending.signal, loop).finally(() => client.close());
    this.#line = { client, ending, done };
  }

  /** Leave the connection that brings nothing: a new one takes over its open pull, with the same request id. */
  restart(): void {
    const old = this.#line;
    if (this.#draining.signal.aborted || old === null) return;
    this.start();
    old.ending.abort();
    this.#parts.changes.tell();
    const gone = Promise.allSettled([old.client.close(), old.done]);
    this.#left.add(gone);
    void gone.then(() => this.#left.delete(gone)); // it never rejects
  }

  /** Ask for no more, and wait for what was asked for; what comes of it still is accepted. */
  async drain(): Promise<void> {
    this.#draining.abort();
    this.#parts.changes.tell();
    const line = this.#line;
    if (line === null) return;
    await this.#interrupt(line);
    line.ending.abort();
    await line.client.close();
    await Promise.allSettled([line.done, ...this.#left]);
    await this.#recover();
  }

  /** Have the pull that waits answered, for a while; again and again, for one may just be leaving. */
  async #interrupt(line: Line): Promise<void> {
    const { runtime } = this.#parts;
    const end = runtime.monotonic() + NOTICE_MS;
    const napping = new AbortController();
    let isDone = false;
    void line.done.finally(() => {
      isDone = true;
      napping.abort();
    });
    while (!isDone && runtime.monotonic() < end) {
      line.client.interruptWaits();
      await runtime.sleep(INTERRUPT_MS, napping.signal).catch(() => {}); // done
    }
  }

  async #fetch(client: FetchClient, ending: AbortSignal): Promise<void> {
    while (!ending.aborted) {
      const plan = await this.#nextPlan(ending);
      if (plan === null) return;
      await this.#fetchOnce(client, plan, ending);
    }
  }

  /** The pull to make, when there is a slot for its job; null when the loop should end. */
  async #nextPlan(ending: AbortSignal): Promise<PullPlan | null> {
    const { changes, slots, runtime } = this.#parts;
    const mustEnd = (): boolean => this.#draining.signal.aborted || ending.aborted;
    await changes.until(() => mustEnd() || this.#plan !== null || slots.free > 0);
    if (mustEnd()) return null;
    this.#plan ??= { count: slots.ask(), requestId: runtime.newId() };
    return this.#plan;
  }

  async #fetchOnce(client: FetchClient, plan: PullPlan, ending: AbortSignal): Promise<void> {
    const { link, runtime, settings, onPull, onFailure } = this.#parts;
    const waitMs = link.hold(CHANNEL, settings.waitMs);
    const startedAt = runtime.monotonic();
    onPull();
    let jobs: readonly Job[];
    try {
      jobs = await this.#pull(client, plan, waitMs);
    } catch (error) {
      if (!isJobwireError(error)) throw error;
      if (this.#draining.signal.aborted || ending.aborted) return; // we ended it ourselves
      onFailure();
      await this.#pause(link.failed(CHANNEL, error), ending);
      return;
    }
    link.answered(CHANNEL);
    this.#accept(plan, jobs);
    const elapsedMs = runtime.monotonic() - startedAt;
    const u = runtime.random();
    await this.#pause(this.#pacer.after({ found: jobs.length, elapsedMs, waitMs, u }), ending);
  }

  #pull(client: FetchClient, plan: PullPlan, waitMs: number): Promise<readonly Job[]> {
    const { queues, leaseMs, names, workerId, weights } = this.#parts.settings;
    const { count, requestId } = plan;
    return client.pull(queues, { count, waitMs, leaseMs, names, workerId, requestId, weights });
  }

  #accept(plan: PullPlan, jobs: readonly Job[]): void {
    if (this.#plan !== plan) return; // a newer loop has had the same jobs by the same request id
    const taken = jobs.slice(0, plan.count);
    this.#plan = null;
    this.#parts.slots.answered(plan.count, taken.length);
    this.#parts.accept(taken);
    this.#parts.changes.tell();
  }

  /** Sleep, but neither into the drain nor beyond the end of the loop. */
  async #pause(ms: number, ending: AbortSignal): Promise<void> {
    const signals = [this.#draining.signal, ending];
    if (ms <= 0 || signals.some((signal) => signal.aborted)) return;
    const waking = new AbortController();
    const wake = (): void => waking.abort();
    for (const signal of signals) signal.addEventListener('abort', wake);
    await this.#parts.runtime.sleep(ms, waking.signal).catch(() => {}); // woken
    for (const signal of signals) signal.removeEventListener('abort', wake);
  }

  /** Ask once more for the jobs of a pull that got no answer before the drain. */
  async #recover(): Promise<void> {
    const plan = this.#plan;
    if (plan === null) return;
    const client = this.#parts.connect(NOTICE_MS);
    try {
      this.#accept(plan, await this.#pull(client, plan, 0));
    } catch (error) {
      if (!isJobwireError(error)) throw error;
      this.#parts.log('info', `the last pull stays unanswered: ${error}`);
    } finally {
      await client.close();
    }
  }
}
