/**
 * Worker: takes jobs from queues and runs a handler for each, several at a time, on the event loop.
 *
 *     Fetcher ──▶ Runner ──▶ Settler         heart: leases, cancels, "you are deaf"
 *     (a slot     (handlers) (batches)       (in a thread of its own)
 *      first)
 *
 * What is decided about a job, a slot or a failure is in `worker-core`, `worker-outcome` and `worker-settling`. Fetcher,
 * Settler and heart have a connection each, so that none can hold up another.
 */

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Client } from './client.ts';
import { INTERNALS } from './client-core.ts';
import type { JobwireError } from './errors.ts';
import {
  type BoundHandler,
  type DataSchema,
  HANDLERS,
  type Handler,
  HandlerTable,
} from './worker-handlers.ts';
import { checkOptions, type WorkerOptions, type WorkerSettings } from './worker-options.ts';
import { WorkerParts } from './worker-parts.ts';
import { onSignals } from './worker-signals.ts';

const KEEP_ALIVE_MS = 2 ** 31 - 1; // the longest interval that there is

/**
 * Takes jobs from queues and runs a handler for each, several at a time.
 *
 *     const worker = new Worker(client, { queues: ['emails'], concurrency: 100 });
 *     worker.handle('welcome', async (job: Job<{ to: string }>, { signal }) => {
 *       await send(job.data.to, { signal });
 *     });
 *     await worker.run();
 *
 * What a handler returns is the job's result. What it throws fails the job, which is tried again; `Discard`, `RetryIn` and
 * `Release` say otherwise. A lost lease, a cancel, the job's timeout and the end of the worker all abort `ctx.signal`.
 *
 * Leases are kept alive from a thread of its own with a connection of its own, so that a handler which computes without a
 * break costs no job its lease; such a break is logged (`onLog`) with its length and place when it is over. Once the job's own
 * timeout has passed in a blocked event loop, the thread lets its lease go. Under Bun and Deno, and where no thread can be
 * started, heartbeats come from the event loop, and a handler must not block it for longer than `leaseMs`.
 *
 * A worker makes connections beside its client, and never closes that. It runs once; while it runs, the process stays alive.
 * Requirements JW-WORKER.
 */
export class Worker implements AsyncDisposable {
  /** For pushing more jobs. */
  readonly client: Client;
  readonly #settings: WorkerSettings;
  readonly #wrap: WorkerOptions['wrap'];
  readonly #table = new HandlerTable();
  readonly #parts: WorkerParts;
  #state: 'new' | 'running' | 'draining' | 'stopped' = 'new';
  #fatal: JobwireError | null = null;
  #starting: Promise<void> = Promise.resolve();
  /** What the first `stop` resolves to. */
  #stopping: Promise<boolean> | null = null;
  /** Ends the wait of `run`. */
  #wake: () => void = () => {};
  #keepAlive: NodeJS.Timeout | undefined;

  constructor(client: Client, options: WorkerOptions) {
    if (!(client instanceof Client) || !client[INTERNALS].hasUrl) {
      throw new TypeError(
        'expected a client with a url and not a transport, since a worker makes connections of its own; ' +
          "in tests give it the url of jobwire/testing's FakeServer, or use workOne",
      );
    }
    this.client = client;
    this.#settings = checkOptions(options, defaultWorkerId);
    this.#wrap = options.wrap;
    this.#parts = new WorkerParts(client, this.#settings, options.onError, (error) => {
      this.#refused(error);
    });
  }

  /** How the server shows this worker. */
  get workerId(): string {
    return this.#settings.workerId;
  }

  /**
   * Have *handler* run for jobs named *name*.
   *
   * `data` says what `job.data` should be: a function `(value: unknown) => T` that returns it or throws, or a validator (zod, valibot,
   * any Standard Schema). A job whose data does not fit is a dead letter at once; without `data` nothing is checked, and the type is the
   * handler's word: `(job: Job<Mail>) => …`. TypeError when there is a handler for *name* already, or the worker has started.
   */
  handle<T = unknown, R = unknown>(
    name: string,
    handler: Handler<T, R>,
    { data }: { readonly data?: DataSchema<T> | undefined } = {},
  ): this {
    if (this.#state !== 'new') {
      throw new TypeError('handlers are registered before the worker starts');
    }
    this.#table.add(name, handler, data);
    return this;
  }

  /** @internal For workOne and inlineClient of jobwire/testing. */
  get [HANDLERS](): ReadonlyMap<string, BoundHandler> {
    return this.#table.wrapped(this.#wrap);
  }

  /**
   * Work until SIGTERM, SIGINT, `stop` or the abortion of *signal*, then finish what runs.
   *
   * The first signal drains: no new jobs, `graceMs` for the running ones, the rest is given back. A second one ends the process
   * at once. The handlers of signals are taken off afterwards. An event loop that is blocked hears of them late.
   *
   * Resolves when everything is settled, also after an abortion. Rejects with a JobwireError when the server refused the very
   * first request for a reason that no retry mends.
   */
  async run({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const wake = (): void => this.#wake();
    const release = onSignals(wake);
    signal?.addEventListener('abort', wake);
    try {
      if (!signal?.aborted) {
        await this.start();
        if (!signal?.aborted) await woken;
      }
    } finally {
      await this.stop().finally(release);
      signal?.removeEventListener('abort', wake);
    }
    if (this.#fatal !== null) throw this.#fatal;
  }

  /** Work in the background, until `stop`. Rejects with TypeError when the worker was started before. */
  async start(): Promise<void> {
    if (this.#state !== 'new')
      throw new TypeError(`the worker is ${this.#state}; a worker runs once`);
    const handlers = this.#table.wrapped(this.#wrap); // which may throw
    this.#state = 'running';
    // Between two tries to reach the server nothing else would.
    this.#keepAlive = setInterval(() => {}, KEEP_ALIVE_MS);
    this.#starting = this.#parts.start(handlers);
    await this.#starting;
  }

  /**
   * Stop fetching, let running jobs end for `timeoutMs` (`graceMs` when left out), give the rest back.
   *
   * Gives whether every job ended by itself or heard that it should. Idempotent: a second call gives what the first one does.
   */
  stop({
    timeoutMs = this.#settings.graceMs,
  }: {
    readonly timeoutMs?: number | undefined;
  } = {}): Promise<boolean> {
    this.#stopping ??= this.#stop(timeoutMs);
    return this.#stopping;
  }

  async #stop(timeoutMs: number): Promise<boolean> {
    const wasNew = this.#state === 'new';
    this.#state = 'draining';
    try {
      if (wasNew) return true;
      await this.#starting;
      return await this.#parts.drain(timeoutMs, this.#fatal !== null);
    } finally {
      this.#state = 'stopped';
      clearInterval(this.#keepAlive);
      this.#wake();
    }
  }

  /** The server refuses this worker for good: end `run`, or in the background go on trying, and say so. */
  #refused(error: JobwireError): void {
    if (this.#fatal !== null) return;
    this.#fatal = error;
    this.#parts.tellRefusal(error);
    this.#wake();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop().then(() => {});
  }

  toString(): string {
    const { workerId, queues } = this.#settings;
    return `Worker(${workerId}, ${queues.join()}, ${this.#state})`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** Host, process and chance: unique, and a person sees where the worker runs. */
function defaultWorkerId(): string {
  return `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
}
