/**
 * The one seam for time and chance. Tests hand in their own and assert a backoff as a sequence, not as a wait.
 *
 * Not public: it is given to a client as `_runtime`, which no type declares.
 */

import { uuid7 } from './ids.ts';

export interface Runtime {
  /** Unix time in milliseconds. */
  now(): number;
  /** Milliseconds from anywhere, which only grow. */
  monotonic(): number;
  /** Resolves after *ms*; rejects with `signal.reason` as soon as *signal* aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Uniform in [0, 1). */
  random(): number;
  /** A fresh UUIDv7. */
  newId(): string;
}

export const RUNTIME: Runtime = {
  now: Date.now,
  monotonic: () => performance.now(),
  sleep,
  random: Math.random,
  newId: uuid7,
};

/** The timer keeps the process alive: somebody waits for what comes after the sleep. */
function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
