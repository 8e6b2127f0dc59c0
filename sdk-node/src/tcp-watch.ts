/**
 * Looks after one connection while calls are in flight on it; Silence decides.
 *
 * A call costs no timer: one is set when there is none, and is not set again when it finds no call in flight.
 */

import { afterHearing } from './sockets.ts';
import { Silence } from './tcp-silence.ts';

/** The connection, as the watch sees it. */
export interface Watched {
  /** The version of the wire; a server of version 2 answers a ping whatever else waits. */
  readonly version: number;
  /** Whether a call is in flight. */
  readonly isBusy: boolean;
  /** Send a ping, whose answer nobody waits for. */
  ping(): void;
  /** Give the connection up. */
  lose(why: string): void;
}

export class Watch {
  readonly #silence: Silence;
  readonly #watched: Watched;
  #cancel: (() => void) | null = null; // the timer's; null while there is none

  constructor(limitMs: number, watched: Watched) {
    this.#silence = new Silence(limitMs);
    this.#watched = watched;
  }

  /** A call left while no other was in flight. */
  start(): void {
    this.#silence.begin(performance.now());
    this.#cancel ??= afterHearing(this.#silence.limitMs / 2, () => this.#look());
  }

  /** Bytes came at *now*. */
  heard(now: number): void {
    this.#silence.begin(now);
  }

  /** The connection has ended. */
  stop(): void {
    this.#cancel?.();
  }

  #look(): void {
    this.#cancel = null;
    if (!this.#watched.isBusy) return;
    const canPing = this.#watched.version === 2;
    const { verdict, waitMs } = this.#silence.look(performance.now(), { canPing });
    if (verdict === 'give up') {
      const seconds = Number((this.#silence.limitMs / 1000).toPrecision(3));
      this.#watched.lose(`nothing was heard for ${seconds} s`);
      return;
    }
    if (verdict === 'ping') this.#watched.ping();
    this.#cancel = afterHearing(waitMs, () => this.#look());
  }
}
