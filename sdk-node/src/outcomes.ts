/** The three ways in which a handler ends its job other than by returning or failing. */

/** Base of what a handler throws to end its job otherwise than by returning or failing. Not a failure. */
export class HandlerOutcome extends Error {
  override readonly name: string = 'HandlerOutcome';
}

/**
 * Thrown by a handler: never try this job again.
 *
 * The job goes to the dead letters with reason `failed` and *reason* as its error.
 */
export class Discard extends HandlerOutcome {
  override readonly name = 'Discard';
  readonly reason: string;

  constructor(reason = '') {
    super(reason);
    this.reason = reason;
  }
}

/**
 * Thrown by a handler: fail this attempt, and try again in *ms* in place of the job's backoff.
 *
 * It counts as a failed attempt; after the last one the job goes to the dead letters.
 */
export class RetryIn extends HandlerOutcome {
  override readonly name = 'RetryIn';
  readonly ms: number;
  readonly reason: string;

  constructor({ ms, reason = '' }: { readonly ms: number; readonly reason?: string | undefined }) {
    super(reason);
    this.ms = checked('ms', ms);
    this.reason = reason;
  }
}

/** Thrown by a handler: give the job back without burning an attempt, to be taken again after *delayMs*. */
export class Release extends HandlerOutcome {
  override readonly name = 'Release';
  readonly delayMs: number;

  constructor({ delayMs = 0 }: { readonly delayMs?: number | undefined } = {}) {
    super('');
    this.delayMs = checked('delayMs', delayMs);
  }
}

function checked(name: string, ms: number): number {
  if (!Number.isFinite(ms) || ms < 0) {
    throw new TypeError(`expected ${name} to be a number of milliseconds, 0 or more, got ${ms}`);
  }
  return ms;
}
