/**
 * Where the heart of a worker beats: in a thread of its own, or in the event loop of the handlers.
 *
 * A thread is tried first. It needs node:worker_threads and settings of the client that can be sent to it. Bun and Deno have
 * that module too, but not all of it that is needed here; there, as where a thread does not start, the heart beats between
 * the handlers: one that computes for longer than a lease without a break loses it.
 */

import type { MessagePort, Worker as Thread } from 'node:worker_threads';
import { BASE_MS, reconnectDelay } from './backoff.ts';
import { type ClientInternals, INTERNALS, type SiblingTimes } from './client-core.ts';
import type { ClientOptions } from './options.ts';
import { type HeldView, heartTimes } from './worker-heart.ts';
import { type BodyParts, type HeartBody, LoopBody, logBlock, viewOf } from './worker-heart-body.ts';
import type { FromHeart, ThreadData, ToHeart } from './worker-heart-thread.ts';
import type { HeldJob } from './worker-held.ts';

const READY_MS = 10_000; // for a thread to start on a machine that is busy
const JOIN_MS = 1000; // for a thread to say goodbye to the server
const NO_THREAD = 'heartbeats have no thread of their own';
const CRASH_CAP_MS = 5000; // between the starts of a thread that dies again and again

/** Start a heart; it beats when this resolves. */
export async function startHeart(parts: BodyParts): Promise<HeartBody> {
  try {
    const body = await ThreadBody.start(parts);
    if (body !== null) return body;
  } catch (error) {
    parts.log('warn', NO_THREAD, { error });
  }
  const body = new LoopBody(parts);
  await body.begun;
  return body;
}

type Threads = typeof import('node:worker_threads');

/** node:worker_threads, where all that is used of it is known to work. */
async function threads(): Promise<Threads | null> {
  const { versions } = process;
  if (versions.bun !== undefined || versions.deno !== undefined) return null;
  return import('node:worker_threads');
}

/** Whether a debugger can reach this program. */
async function isDebugged(): Promise<boolean> {
  try {
    return (await import('node:inspector')).url() !== undefined;
  } catch {
    return false; // a build without an inspector
  }
}

/** What a client in another thread is made from; null for one with a time of its own. Throws when it cannot be sent. */
function portable(internals: ClientInternals, times: SiblingTimes): ClientOptions | null {
  return internals.sibling((settings) => {
    const { onLog, _runtime, ...rest } = settings as ClientOptions & { _runtime?: unknown };
    return _runtime === undefined ? structuredClone(rest) : null;
  }, times);
}

/** Beats in a thread, which is started again when it dies. It keeps no process alive, and ends with this one's. */
class ThreadBody implements HeartBody {
  readonly #parts: BodyParts;
  readonly #threads: Threads;
  readonly #client: ClientOptions;
  readonly #isDebugged: boolean;
  readonly #ending = new AbortController();
  #added: HeldView[] = [];
  #removed: string[] = [];
  #isDirty = false;
  #thread: Thread | null = null;
  #port: MessagePort | null = null;
  #crashes = 0;
  #restarting: Promise<void> = Promise.resolve();
  /** Beats in place of a thread that could not be started again. */
  #standIn: LoopBody | null = null;

  private constructor(
    parts: BodyParts,
    threads: Threads,
    client: ClientOptions,
    isDebugged: boolean,
  ) {
    this.#parts = parts;
    this.#threads = threads;
    this.#client = client;
    this.#isDebugged = isDebugged;
  }

  /** A body whose thread runs; null where there are no threads. Rejects when it does not start. */
  static async start(parts: BodyParts): Promise<ThreadBody | null> {
    const available = await threads();
    const client = portable(parts.client[INTERNALS], heartTimes(parts.settings));
    if (available === null || client === null) return null;
    const body = new ThreadBody(parts, available, client, await isDebugged());
    await body.#begin();
    return body;
  }

  async #begin(): Promise<void> {
    const { port1, port2 } = new this.#threads.MessageChannel();
    // Compiled or not, the file lies beside this one. Flags of the program (a loader, a debugger) are not for it.
    const file = import.meta.url.endsWith('.ts')
      ? 'worker-heart-thread.ts'
      : 'worker-heart-thread.js';
    const thread = new this.#threads.Worker(new URL(file, import.meta.url), {
      workerData: this.#data(port2),
      transferList: [port2],
      execArgv: [],
      name: 'jobwire-heart',
    });
    let why: unknown = new Error('the thread ended');
    thread.on('error', (error) => {
      why = error;
    });
    let timer: NodeJS.Timeout | undefined;
    const isReady = await new Promise<boolean>((resolve) => {
      port1.once('message', () => resolve(true)); // it says `ready` first
      thread.once('exit', () => resolve(false));
      timer = setTimeout(() => resolve(false), READY_MS);
    });
    clearTimeout(timer);
    if (!isReady) {
      port1.close();
      await thread.terminate();
      throw why;
    }
    thread.once('exit', () => this.#died(thread, why));
    this.#adopt(thread, port1);
  }

  #data(port: MessagePort): ThreadData {
    const { workerId, queues, concurrency, heartbeatMs, blockWarningMs } = this.#parts.settings;
    const settings = { workerId, queues, concurrency, heartbeatMs };
    return {
      port,
      client: this.#client,
      settings,
      report: this.#parts.report(),
      blockWarningMs,
      isDebugged: this.#isDebugged,
    };
  }

  #adopt(thread: Thread, port: MessagePort): void {
    this.#thread = thread;
    this.#port = port;
    port.on('message', (message: FromHeart) => this.#hear(message));
    thread.unref();
    port.unref();
    this.#added = this.#parts.held.leased().map(viewOf);
    this.#removed = [];
    this.sync();
  }

  #hear(message: FromHeart): void {
    if (message.kind === 'ping') this.#say({ kind: 'pong' });
    else if (message.kind === 'blocked') logBlock(this.#parts.log, message.ms, message.stack);
    else if (message.kind !== 'ready') this.#parts.read(message);
  }

  #died(thread: Thread, error: unknown): void {
    if (this.#thread !== thread || this.#ending.signal.aborted) return;
    const { log, onError } = this.#parts;
    this.#port?.close();
    this.#port = null;
    this.#thread = null;
    log('error', 'a loop of the worker died and is started again: heart', { error });
    onError(error);
    this.#restarting = this.#restart();
  }

  async #restart(): Promise<void> {
    const { signal } = this.#ending;
    const { runtime, log } = this.#parts;
    const ms = reconnectDelay(this.#crashes, runtime.random(), BASE_MS, CRASH_CAP_MS);
    this.#crashes += 1;
    await runtime.sleep(ms, signal).catch(() => {}); // ends early with the worker
    if (signal.aborted) return;
    try {
      await this.#begin();
    } catch (error) {
      log('warn', NO_THREAD, { error });
      this.#standIn = new LoopBody(this.#parts);
    }
  }

  // --- telling it ---

  added(held: HeldJob): void {
    this.#added.push(viewOf(held));
    this.changed();
  }

  removed(held: HeldJob): void {
    this.#removed.push(held.key);
    this.changed();
  }

  changed(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    queueMicrotask(() => {
      if (this.#isDirty) this.sync();
    });
  }

  sync(): void {
    const added = this.#added;
    const removed = this.#removed;
    this.#added = [];
    this.#removed = [];
    this.#isDirty = false;
    this.#say({ kind: 'held', added, removed, report: this.#parts.report() });
  }

  #say(message: ToHeart): void {
    this.#port?.postMessage(message);
  }

  drain(): void {
    const { receiveMessageOnPort } = this.#threads;
    for (;;) {
      const received = this.#port && receiveMessageOnPort(this.#port);
      if (!received) return;
      this.#hear(received.message as FromHeart);
    }
  }

  poke(): void {
    this.sync();
    this.#say({ kind: 'poke' });
    this.#standIn?.poke();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#restarting;
    await this.#standIn?.stop();
    const thread = this.#thread;
    if (thread === null || thread.threadId === -1) return; // it has ended by itself
    this.#say({ kind: 'stop' });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => void thread.terminate(), JOIN_MS); // which ends it, too
      thread.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#port?.close();
  }
}
