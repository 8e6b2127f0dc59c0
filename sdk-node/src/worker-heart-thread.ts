/**
 * The heart in a thread of its own (node:worker_threads), with a connection of its own: user code cannot starve it.
 *
 * Goals: a handler that computes without a break must cost no job its lease, and must be told to people.
 * Plan: the worker sends what it holds before a handler starts, so that this thread knows it when the event loop stands
 *   still; what the server answers meanwhile waits in the port. Pings through the same port find the block, and the
 *   inspector says where it is.
 * Warnings: a job whose own timeout is over is not kept alive by a blocked event loop, which could never abort it. A job
 *   without a timeout is, for as long as the process lives.
 */

import { type MessagePort, workerData } from 'node:worker_threads';
import { Client } from './client.ts';
import type { ClientOptions } from './options.ts';
import { RUNTIME } from './runtime.ts';
import { BlockDetector } from './worker-core.ts';
import {
  clock,
  FIRST_BEAT_MS,
  Heart,
  type HeartEvent,
  type HeartSettings,
  type ReportView,
} from './worker-heart.ts';
import { type HeldNews, Mirror } from './worker-heart-mirror.ts';
import { StackReader } from './worker-stack.ts';

/** What the thread is started with. */
export interface ThreadData {
  readonly port: MessagePort;
  readonly client: ClientOptions;
  readonly settings: HeartSettings;
  readonly report: ReportView;
  readonly blockWarningMs: number;
  /** Whether somebody debugs the program; a second debugger would disturb the first. */
  readonly isDebugged: boolean;
}

/** From the worker: what it holds now, and how it is. */
export type ToHeart =
  | ({ readonly kind: 'held' } & HeldNews)
  | { readonly kind: 'pong' }
  | { readonly kind: 'poke' }
  | { readonly kind: 'stop' };

/** To the worker: what the server said, and how the event loop is. `stack` is empty where it could not be had. */
export type FromHeart =
  | HeartEvent
  /** The first heartbeat was answered, or failed; said before everything else. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'ping' }
  | { readonly kind: 'blocked'; readonly ms: number; readonly stack: string };

/** Looks after the event loop of the worker, from outside. */
class Watch {
  readonly #detector: BlockDetector;
  readonly #say: (message: FromHeart) => void;
  readonly #stacks: StackReader | null;
  #timer: NodeJS.Timeout | undefined;
  #stack = '';

  constructor(
    detector: BlockDetector,
    stacks: StackReader | null,
    say: (message: FromHeart) => void,
  ) {
    this.#detector = detector;
    this.#stacks = stacks;
    this.#say = say;
  }

  start(limitMs: number): void {
    this.#timer = setInterval(() => this.#look(), Math.max(limitMs / 4, 1));
  }

  answered(): void {
    const ms = this.#detector.answered(clock());
    this.#stacks?.stop();
    if (ms !== null) this.#say({ kind: 'blocked', ms, stack: this.#stack });
    this.#stack = '';
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stacks?.stop();
  }

  #look(): void {
    const state = this.#detector.check(clock());
    if (state === 'ask') this.#say({ kind: 'ping' });
    if (state !== 'blocked') return;
    // It never rejects.
    void this.#stacks?.read((stack) => {
      this.#stack = stack;
    });
  }
}

/** *callback*, which runs the first time only. */
function once(callback: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) callback();
    isDone = true;
  };
}

async function main({ port, ...data }: ThreadData): Promise<void> {
  const say = (message: FromHeart): void => port.postMessage(message);
  const detector = new BlockDetector(data.blockWarningMs);
  const watch = new Watch(detector, data.isDebugged ? null : new StackReader(), say);
  const ready = once(() => {
    say({ kind: 'ready' });
    watch.start(data.blockWarningMs); // not before: the worker answers no ping yet
  });
  setTimeout(ready, FIRST_BEAT_MS).unref();
  const view = new Mirror(data.report, detector, data.blockWarningMs, clock);
  const client = new Client(data.client);
  const tell = (event: HeartEvent): void => {
    ready();
    say(event);
  };
  const heart = new Heart({ client, view, settings: data.settings, runtime: RUNTIME, tell });
  port.on('message', (message: ToHeart) => {
    if (message.kind === 'held') view.update(message);
    else if (message.kind === 'pong') watch.answered();
    else if (message.kind === 'poke') heart.poke();
    else heart.stop();
  });
  try {
    await heart.run();
  } finally {
    watch.stop();
    await client.close();
    port.close();
  }
}

await main(workerData as ThreadData);
