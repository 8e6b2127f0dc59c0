/** Runs the handler of each job that was taken, and has its outcome settled. */

import type { Client } from './client.ts';
import type { Log } from './log.ts';
import { HandlerOutcome } from './outcomes.ts';
import type { Runtime } from './runtime.ts';
import { contextOf } from './worker-context.ts';
import type { BoundHandler } from './worker-handlers.ts';
import type { HeldJob } from './worker-held.ts';
import { after, type Changes } from './worker-loops.ts';
import type { WorkerOptions } from './worker-options.ts';
import {
  type Ending,
  giveBack,
  isAbort,
  type Settlement,
  settlementOf,
  unknownName,
} from './worker-outcome.ts';

const STOP_NOTICE_MS = 1000; // for handlers, after the grace, to hear that they must stop

export interface RunnerParts {
  readonly client: Client;
  /** The client, with more haste. */
  readonly reporter: Client;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly changes: Changes;
  readonly onError: WorkerOptions['onError'];
  /** Have what the server said so far read; called before it is decided what a handler's end means. */
  readonly drain: () => void;
  /** Called with each outcome; null for a job of which nothing may be said. */
  readonly settle: (held: HeldJob, settlement: Settlement | null) => void;
}

export class Runner {
  readonly #parts: RunnerParts;
  readonly #active = new Set<HeldJob>();
  /** Set once, before the first job. */
  handlers: ReadonlyMap<string, BoundHandler> = new Map();

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  /** How many handlers run. */
  get active(): number {
    return this.#active.size;
  }

  /** Start the handler of a job. */
  dispatch(held: HeldJob): void {
    const { job } = held;
    const handler = this.handlers.get(job.name);
    if (handler === undefined) {
      this.#parts.log('warn', 'no handler', { jobId: job.id, jobName: job.name });
      this.#parts.settle(held, unknownName(job, this.handlers.keys()));
      return;
    }
    this.#active.add(held);
    const { timeoutMs } = job;
    const cancel = timeoutMs === null ? () => {} : after(timeoutMs, () => held.stop('timeout'));
    const call = async (): Promise<unknown> => handler(job, contextOf({ held, ...this.#parts }));
    void call()
      .then(
        (value): Ending => ({ returned: true, value }),
        (error: unknown): Ending => ({ returned: false, error }),
      )
      .then((ending) => {
        cancel();
        this.#ended(held, ending);
      });
  }

  /**
   * Ask what runs to stop, and give back what does not hear it; how many jobs that were.
   *
   * Their handlers run on, and what they return is dropped.
   */
  async giveBackAll(): Promise<number> {
    for (const held of this.#active) held.stop('shutdown');
    if (await this.#parts.changes.within(STOP_NOTICE_MS, () => this.active === 0)) return 0;
    for (const held of this.#active) {
      held.isAbandoned = true;
      this.#parts.log('warn', 'job given back, its handler runs on', { jobId: held.job.id });
      this.#parts.settle(held, held.reason === 'lease_lost' ? null : giveBack(held.job));
    }
    return this.active;
  }

  /** Tell the owner of the worker of *error*, and of the job that it belongs to, if it does. */
  tell(error: unknown, held: HeldJob | null = null): void {
    const { onError, log } = this.#parts;
    if (onError === undefined) return;
    // Called within a promise, so that one that is async is caught as well.
    void (async () => onError(error, held?.job ?? null))().catch((failure: unknown) => {
      log('error', 'onError failed', { error: failure });
    });
  }

  #ended(held: HeldJob, ending: Ending): void {
    this.#parts.drain();
    this.#active.delete(held);
    if (!ending.returned) this.#tellFailure(held, ending.error);
    if (!held.isAbandoned) {
      this.#parts.settle(held, settlementOf(held.job, ending, held.reason));
    }
    this.#parts.changes.tell();
  }

  #tellFailure(held: HeldJob, error: unknown): void {
    if (error instanceof HandlerOutcome || (held.reason !== null && isAbort(error))) return;
    this.#parts.log('warn', 'handler failed', { jobId: held.job.id, error });
    this.tell(error, held);
  }
}
