/**
 * How a worker reaches the server, over all its loops (channels): whether it answers, what to wait, what to log.
 *
 * Link decides and has no clock; SharedLink is what the loops talk to.
 */

import { BASE_MS, reconnectDelay } from './backoff.ts';
import { categoryOf, type JobwireError } from './errors.ts';
import type { Log } from './log.ts';
import type { Runtime } from './runtime.ts';

/** A loop of the worker with a connection of its own. */
export type Channel = 'fetch' | 'settle' | 'heartbeat';

const RETRY_CAP_MS = 1200; // a worker tries for ever, and is back soon after a restart of the server
const ECHO_MS = 5000;
const AT_ONCE: ReadonlySet<string> = new Set(['CONNECTION_LOST', 'TIMEOUT', 'CONNECTION_FAILED']);
// Errors after which a worker that has never been answered gives up: no retry mends the configuration.
const FATAL: ReadonlySet<string | undefined> = new Set(['validation', 'auth', 'protocol']);

/**
 * How long to wait, and the two lines to log.
 *
 * The loss is told once, when the first channel fails, and the recovery once, when the last one is answered. The channels
 * do not hear of one loss in the same moment: a single failure soon after a recovery is its echo.
 */
export class Link {
  readonly #failures = new Map<Channel, number>();
  #isTold = false;
  #since = 0;
  #recoveredAt = Number.NEGATIVE_INFINITY;
  #wasAnswered = false;

  /** Whether the server has ever answered. */
  get wasAnswered(): boolean {
    return this.#wasAnswered;
  }

  /** Note a failure; true when it is the loss, to be logged. */
  failed(channel: Channel, now: number): boolean {
    const count = (this.#failures.get(channel) ?? 0) + 1;
    this.#failures.set(channel, count);
    if (this.#isTold || (count === 1 && now - this.#recoveredAt < ECHO_MS)) return false;
    this.#isTold = true;
    this.#since = now;
    return true;
  }

  /** Note an answer; how long the loss lasted when this ends it, to be logged, else null. */
  answered(channel: Channel, now: number): number | null {
    this.#wasAnswered = true;
    this.#failures.delete(channel);
    if (this.#failures.size > 0 || !this.#isTold) return null;
    this.#isTold = false;
    this.#recoveredAt = now;
    return now - this.#since;
  }

  /** Whether the channel's last call failed; its next one should not be held, to know soon whether it works. */
  isFailing(channel: Channel): boolean {
    return this.#failures.has(channel);
  }

  /** How long until the channel's next try: none, then full jitter; never less than the server asks for. */
  delay(channel: Channel, error: JobwireError, u: number): number {
    const failures = this.#failures.get(channel) ?? 1;
    const attempt = AT_ONCE.has(error.code) ? failures - 1 : failures;
    const own = reconnectDelay(attempt, u, BASE_MS, RETRY_CAP_MS);
    return Math.max(own, error.retryAfterMs ?? 0);
  }
}

/** Whether to give up in place of trying for ever: the server has never accepted anything, and will not. */
export function isFatal(error: JobwireError, link: Link): boolean {
  return !link.wasAnswered && !error.retryable && FATAL.has(categoryOf(error.code));
}

/**
 * The state of the connection of one worker.
 *
 * `onFatal` is called when the very first contact shows that no retry can help: a wrong token, a refused argument, a peer of
 * another protocol.
 */
export class SharedLink {
  readonly #runtime: Runtime;
  readonly #log: Log;
  readonly #onFatal: (error: JobwireError) => void;
  readonly #link = new Link();
  #lastContact: number;

  constructor(runtime: Runtime, log: Log, onFatal: (error: JobwireError) => void) {
    this.#runtime = runtime;
    this.#log = log;
    this.#onFatal = onFatal;
    this.#lastContact = runtime.monotonic();
  }

  /** When the server last answered anything, on the monotonic clock. */
  get lastContact(): number {
    return this.#lastContact;
  }

  /** How long the server may hold the channel's next call: *waitMs*, or not at all while the connection is in doubt. */
  hold(channel: Channel, waitMs: number): number {
    return this.#link.isFailing(channel) ? 0 : waitMs;
  }

  /** The server answered on this channel, at *now*. */
  answered(channel: Channel, now = this.#runtime.monotonic()): void {
    this.#lastContact = Math.max(this.#lastContact, now);
    const lostForMs = this.#link.answered(channel, now);
    if (lostForMs !== null) {
      this.#log('info', 'server reached again', { lostForMs: Math.round(lostForMs) });
    }
  }

  /** A call of this channel failed; how long to wait before its next try. */
  failed(channel: Channel, error: JobwireError, now = this.#runtime.monotonic()): number {
    const fatal = isFatal(error, this.#link);
    const isLoss = this.#link.failed(channel, now);
    if (fatal) {
      this.#onFatal(error);
    } else if (isLoss) {
      this.#log('warn', `server lost: ${error}`, { code: error.code, loop: channel });
    }
    return this.#link.delay(channel, error, this.#runtime.random());
  }
}
