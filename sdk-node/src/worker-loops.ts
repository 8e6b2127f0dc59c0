/** Loops that do not stay dead, a condition to wait for, and timers for any length of time. */

import { BASE_MS, reconnectDelay } from './backoff.ts';
import type { Log } from './log.ts';
import type { Runtime } from './runtime.ts';

const CRASH_CAP_MS = 5000; // between the starts of a loop that dies again and again
const TIMER_MAX_MS = 2 ** 31 - 1; // a longer one would ring at once

export interface LoopParts {
  readonly runtime: Runtime;
  readonly log: Log;
  readonly onError: (error: unknown) => void;
}

/**
 * Run *loop* until it resolves or *ending* aborts, again when it dies of a bug.
 *
 * A loop that dies must not leave a worker that looks alive: it is logged, reported and started again.
 */
export async function keep(
  name: string,
  loop: () => Promise<void>,
  ending: AbortSignal,
  { runtime, log, onError }: LoopParts,
): Promise<void> {
  for (let crashes = 0; !ending.aborted; crashes += 1) {
    try {
      await loop();
      return;
    } catch (error) {
      if (ending.aborted) return;
      log('error', `a loop of the worker died and is started again: ${name}`, { error });
      onError(error);
    }
    const ms = reconnectDelay(crashes, runtime.random(), BASE_MS, CRASH_CAP_MS);
    await runtime.sleep(ms, ending).catch(() => {}); // ends early with the worker
  }
}

/** Something that changes, and those who wait until a claim about it holds. */
export class Changes {
  readonly #waiters = new Set<() => void>();

  /** Have every waiting claim looked at again. */
  tell(): void {
    for (const look of [...this.#waiters]) look();
  }

  /** Resolves when *claim* holds. */
  async until(claim: () => boolean): Promise<void> {
    await this.within(Number.POSITIVE_INFINITY, claim);
  }

  /** Resolves when *claim* holds or after *ms*; whether it holds. */
  within(ms: number, claim: () => boolean): Promise<boolean> {
    if (claim() || ms <= 0) return Promise.resolve(claim());
    return new Promise((resolve) => {
      const end = (): void => {
        this.#waiters.delete(look);
        cancel();
        resolve(claim());
      };
      const look = (): void => {
        if (claim()) end();
      };
      const cancel = Number.isFinite(ms) ? after(ms, end) : () => {};
      this.#waiters.add(look);
    });
  }
}

/** Call *callback* after *ms*, however long that is; what comes back cancels it. */
export function after(ms: number, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const start = (left: number): void => {
    const next = Math.min(left, TIMER_MAX_MS);
    timer = setTimeout(() => (left > next ? start(left - next) : callback()), next);
  };
  start(ms);
  return () => clearTimeout(timer);
}
