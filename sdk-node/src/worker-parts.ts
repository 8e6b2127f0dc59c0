/** The parts of a worker, tied together: how they start, what passes between them, and how they end. */

import { Client } from './client.ts';
import { INTERNALS } from './client-core.ts';
import type { JobwireError } from './errors.ts';
import type { Log } from './log.ts';
import type { Job } from './models.ts';
import type { Runtime } from './runtime.ts';
import { Slots } from './worker-core.ts';
import { type FetchClient, Fetcher } from './worker-fetcher.ts';
import type { BoundHandler } from './worker-handlers.ts';
import { clock, type ReportView } from './worker-heart.ts';
import type { HeartBody } from './worker-heart-body.ts';
import { startHeart } from './worker-heart-place.ts';
import { HeartReader } from './worker-heart-reader.ts';
import { HeldJob, HeldJobs } from './worker-held.ts';
import { SharedLink } from './worker-link.ts';
import { Changes, keep, type LoopParts } from './worker-loops.ts';
import {
  longestWaitMs,
  silenceMsOf,
  type WorkerOptions,
  type WorkerSettings,
} from './worker-options.ts';
import { giveBack, type Settlement } from './worker-outcome.ts';
import { Runner } from './worker-runner.ts';
import { Settler } from './worker-settler.ts';
import { Ledger } from './worker-settling.ts';

// A worker would rather ask again than wait for an answer that got lost: its calls are small, and repeating them is free.
const CALL_TIMEOUT_MS = 10_000;
const QUIET_NOTICE_MS = 1000; // for the server to hear that the worker ends
const SETTLE_NOTICE_MS = 5000; // for the last outcomes to reach the server

export class WorkerParts {
  readonly #client: Client;
  readonly #settings: WorkerSettings;
  readonly #runtime: Runtime;
  readonly #log: Log;
  readonly #changes = new Changes();
  readonly #held = new HeldJobs();
  readonly #slots: Slots;
  readonly #link: SharedLink;
  readonly #reader: HeartReader;
  readonly #runner: Runner;
  readonly #fetcher: Fetcher;
  readonly #settler: Settler;
  readonly #loop: LoopParts;
  readonly #ending = new AbortController();
  #settled: Promise<void> = Promise.resolve();
  #heart: HeartBody | null = null;
  #lastPullAt: number | null = null;
  #isDraining = false;
  #saidQuiet = false;

  /** *onRefused* is called when the server shows that no retry can help. */
  constructor(
    client: Client,
    settings: WorkerSettings,
    onError: WorkerOptions['onError'],
    onRefused: (error: JobwireError) => void,
  ) {
    const { runtime, log } = client[INTERNALS];
    this.#client = client;
    this.#settings = settings;
    this.#runtime = runtime;
    this.#log = log;
    this.#slots = new Slots(settings.concurrency);
    this.#link = new SharedLink(runtime, log, onRefused);
    this.#loop = { runtime, log, onError: (error) => this.#runner.tell(error) };
    this.#reader = new HeartReader({
      held: this.#held,
      link: this.#link,
      settings,
      runtime,
      log,
      onDeaf: () => this.#fetcher.restart(),
      onQuiet: () => {
        this.#saidQuiet = true;
        this.#changes.tell();
      },
    });
    this.#runner = new Runner({
      client,
      reporter: client.withOptions({ timeoutMs: CALL_TIMEOUT_MS, retries: 1 }),
      runtime,
      log,
      changes: this.#changes,
      onError,
      drain: () => this.#heart?.drain(),
      settle: (held, settlement) => this.#settle(held, settlement),
    });
    this.#fetcher = new Fetcher({
      connect: (timeoutMs = CALL_TIMEOUT_MS) => lineOf(this.#sibling(timeoutMs)),
      slots: this.#slots,
      changes: this.#changes,
      link: this.#link,
      runtime,
      log,
      settings: { ...settings, waitMs: longestWaitMs(settings, client[INTERNALS].isTcp) },
      loop: this.#loop,
      accept: (jobs) => this.#accept(jobs),
      onNotice: (name, fields) => this.#noticed(name, fields),
      onPull: () => {
        this.#lastPullAt = clock();
        this.#heart?.changed();
      },
      onFailure: () => settling[INTERNALS].closeIdle(),
    });
    const ledger = new Ledger(this.#held, () => this.#vacated(), log);
    const settling = this.#sibling(CALL_TIMEOUT_MS);
    this.#settler = new Settler(settling, ledger, runtime, this.#link);
  }

  /** A connection for fetching or settling, which finds out by itself that the server is gone. */
  #sibling(timeoutMs: number): Client {
    const silenceMs = silenceMsOf(this.#settings);
    const times = { timeoutMs, connectTimeoutMs: silenceMs, silenceMs };
    return this.#client[INTERNALS].sibling((settings) => new Client(settings), times);
  }

  // --- starting and ending ------------------------------------------------------------------------------------------

  /** Work. No job is asked for before the heart beats. */
  async start(handlers: ReadonlyMap<string, BoundHandler>): Promise<void> {
    const { workerId, queues } = this.#settings;
    this.#runner.handlers = handlers;
    this.#heart = await startHeart({
      ...this.#loop,
      client: this.#client,
      held: this.#held,
      settings: this.#settings,
      report: () => this.#report(),
      read: (event) => this.#reader.read(event),
    });
    this.#held.watcher = this.#heart;
    const { signal } = this.#ending;
    this.#settled = keep('settle', () => this.#settler.run(signal), signal, this.#loop);
    this.#fetcher.start();
    this.#log('info', 'worker started', { workerId, queues });
  }

  /**
   * Step by step: no new jobs, wait for the running ones, give back the rest, wait for the answers, end.
   *
   * Gives whether no handler was left running. A worker that was refused does not wait to be heard.
   */
  async drain(graceMs: number, isRefused: boolean): Promise<boolean> {
    const { workerId } = this.#settings;
    const end = this.#runtime.monotonic() + graceMs;
    this.#log('info', 'worker draining', { workerId, held: this.#held.size });
    let left = 0;
    try {
      this.#isDraining = true;
      this.#heart?.poke(); // tells the server `quiet`
      await this.#fetcher.drain();
      const leftMs = end - this.#runtime.monotonic();
      const isIdle = (): boolean => this.#runner.active === 0;
      if (!(await this.#changes.within(leftMs, isIdle))) left = await this.#runner.giveBackAll();
      await this.#deliver();
      await this.#changes.within(isRefused ? 0 : QUIET_NOTICE_MS, () => this.#saidQuiet);
    } finally {
      await this.#end();
    }
    this.#log('info', 'worker stopped', { workerId });
    return left === 0;
  }

  async #deliver(): Promise<void> {
    if (await this.#changes.within(SETTLE_NOTICE_MS, () => this.#held.size === 0)) return;
    for (const held of this.#held.all()) {
      this.#log('warn', 'outcome not delivered', { jobId: held.job.id });
    }
  }

  async #end(): Promise<void> {
    this.#ending.abort();
    await Promise.all([this.#settler.close(), this.#settled, this.#heart?.stop()]);
  }

  /** Say that the server refuses this worker. */
  tellRefusal(error: JobwireError): void {
    this.#log('error', `the server refuses this worker: ${error}`, { code: error.code });
    this.#runner.tell(error);
  }

  // --- what passes between them -------------------------------------------------------------------------------------

  /** Start the handlers of jobs that came; while draining, give the jobs back at once. */
  #accept(jobs: readonly Job[]): void {
    const expiresAt = this.#runtime.monotonic() + this.#settings.leaseMs;
    const now = clock();
    const taken = jobs.map((job) => {
      const endsAt = job.timeoutMs === null ? null : now + job.timeoutMs;
      return new HeldJob(job, expiresAt, endsAt);
    });
    for (const held of taken) this.#held.add(held);
    this.#heart?.sync(); // before a handler can block the event loop
    for (const held of taken) {
      if (this.#isDraining) this.#settle(held, giveBack(held.job));
      else this.#runner.dispatch(held);
    }
  }

  /** What the server says by itself over TCP. */
  #noticed(name: string, { id, lease }: Readonly<Record<string, unknown>>): void {
    if (typeof id !== 'string' || typeof lease !== 'string') return;
    const held = this.#held.get({ id, lease });
    if (name === 'job.cancel') held?.stop('cancel');
    if (name === 'lease.lost' && held?.isSent === false) held.stop('lease_lost');
  }

  #settle(held: HeldJob, settlement: Settlement | null): void {
    if (settlement !== null) this.#settler.put(settlement);
    else if (this.#held.remove(held)) this.#vacated();
  }

  /** A job is done with: its slot is free. */
  #vacated(): void {
    this.#slots.vacate();
    this.#heart?.changed();
    this.#changes.tell();
  }

  #report(): ReportView {
    const { concurrency } = this.#settings;
    return {
      free: this.#isDraining ? 0 : concurrency - this.#slots.held,
      state: this.#isDraining ? 'quiet' : 'running',
      lastPullAt: this.#lastPullAt,
    };
  }
}

/** A connection as the Fetcher takes it. */
function lineOf(client: Client): FetchClient {
  const { subscribe, interruptWaits } = client[INTERNALS];
  return {
    pull: (queues, options) => client.pull(queues, options),
    subscribe: (callback) => void subscribe(callback),
    interruptWaits,
    close: () => client.close(),
  };
}
