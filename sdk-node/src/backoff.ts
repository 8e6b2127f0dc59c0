/**
 * When to try again, as pure arithmetic: full jitter, a first try at once after a lost connection, and a budget.
 *
 * Rule: no clock and no chance here; *now* and *u* (uniform in [0, 1)) are arguments, so that tests assert sequences.
 */

import { type JobwireError, safeToRetry } from './errors.ts';
import type { RetryClass } from './routes.ts';

export const BASE_MS = 100; // the first jittered delay is below this
export const CAP_MS = 2_000; // no delay of the client's own choice is longer

// After these the next try goes out at once: the connection is new, and the server was not found to be busy.
const AT_ONCE: ReadonlySet<string> = new Set(['CONNECTION_FAILED', 'CONNECTION_LOST', 'TIMEOUT']);

/** Full jitter: uniform between 0 and `base * 2^attempt`, which stops growing at *cap*. *attempt* counts from 0. */
export function delay(attempt: number, u: number, base = BASE_MS, cap = CAP_MS): number {
  const doublings = Math.min(attempt, Math.ceil(Math.log2(cap / base))); // so that 2^attempt stays small
  return u * Math.min(cap, base * 2 ** doublings);
}

/** As delay(), but the first reconnect (attempt 0) is made at once. */
export function reconnectDelay(attempt: number, u: number, base = BASE_MS, cap = CAP_MS): number {
  return attempt === 0 ? 0 : delay(attempt - 1, u, base, cap);
}

/** How often, and for how long, a call is repeated. */
export class RetryPolicy {
  /** Repeats of a request that may have reached the server; 0 switches all repeats off. */
  readonly retries: number;
  /**
   * How long after the first failure a repeat may start. A connection that cannot be made is tried again for as long as
   * this lasts, however small `retries` is.
   */
  readonly budgetMs: number;

  constructor(retries: number, budgetMs: number) {
    this.retries = retries;
    this.budgetMs = budgetMs;
  }
}

/** The failures of one call so far, and what to do after the next one. */
export class RetryState {
  readonly #policy: RetryPolicy;
  readonly #class: RetryClass;
  #failures = 0;
  #sent = 0; // failures after which the server may have seen the request
  #since: number | null = null;

  constructor(policy: RetryPolicy, retryClass: RetryClass) {
    this.#policy = policy;
    this.#class = retryClass;
  }

  /** How often the call has failed. */
  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds to wait before the call is repeated, or null when *error* is final. *now* is monotonic time. */
  after(error: JobwireError, now: number, u: number): number | null {
    this.#since ??= now;
    const own = (AT_ONCE.has(error.code) ? reconnectDelay : delay)(this.#failures, u);
    const wait = Math.max(own, error.retryAfterMs ?? 0);
    this.#failures += 1;
    if (error.code !== 'CONNECTION_FAILED') this.#sent += 1;
    const inTime = now + wait <= this.#since + this.#policy.budgetMs;
    return this.#allows(error) && inTime ? wait : null;
  }

  #allows(error: JobwireError): boolean {
    const { retries } = this.#policy;
    if (!error.retryable || retries === 0 || this.#sent > retries) return false;
    return this.#class !== 'never' || safeToRetry(error);
  }
}
