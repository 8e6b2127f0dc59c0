/** Tells a server that is silent by design from one that is gone (JW-SDK-13, JW-SDK-14). No clock, no timers. */

/** What to do now, and how long until the next look. */
export interface Look {
  readonly verdict: 'wait' | 'ping' | 'give up';
  readonly waitMs: number;
}

/**
 * How long a connection has been quiet while a request is unanswered.
 *
 * After half of the limit the server is sent one ping, and has the other half to be heard again; where it cannot be asked
 * (version 1) it has the whole. Instants are milliseconds of one monotonic clock.
 */
export class Silence {
  readonly limitMs: number;
  #quietSince = 0;
  #pingedAt: number | null = null;

  constructor(limitMs: number) {
    this.limitMs = limitMs;
  }

  /** It is quiet from *now* on: bytes were heard, or a request left while no other was unanswered. */
  begin(now: number): void {
    this.#quietSince = now;
    this.#pingedAt = null;
  }

  /** A look that comes too late, as when the event loop was blocked, still asks before it gives up. */
  look(now: number, { canPing }: { readonly canPing: boolean }): Look {
    const halfMs = this.limitMs / 2;
    if (this.#pingedAt !== null) return waiting(this.#pingedAt + halfMs - now, 'give up');
    if (!canPing) return waiting(this.#quietSince + this.limitMs - now, 'give up');
    const look = waiting(this.#quietSince + halfMs - now, 'ping');
    if (look.verdict === 'wait') return look;
    this.#pingedAt = now;
    return { verdict: 'ping', waitMs: halfMs };
  }
}

/** *verdict* once there is nothing left to wait for. */
function waiting(leftMs: number, verdict: Look['verdict']): Look {
  return leftMs > 0 ? { verdict: 'wait', waitMs: leftMs } : { verdict, waitMs: 0 };
}
