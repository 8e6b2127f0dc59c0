/** What a handler may know and say while it runs. */

import type { Client } from './client.ts';
import { isJobwireError } from './errors.ts';
import type { Log } from './log.ts';
import type { Runtime } from './runtime.ts';
import { GONE } from './worker-core.ts';
import type { HeldJob } from './worker-held.ts';
import { Stopped, type StopReason } from './worker-outcome.ts';

/** The second argument of a handler; its functions may be taken out of it: `async (job, { signal, progress }) => …`. */
export interface JobContext {
  /** How often the job has failed before; 0 the first time. */
  readonly attempt: number;
  /**
   * Aborts when the handler should stop: cancelled, lease lost, timeout or shutdown. Its `reason` is a `Stopped`.
   *
   * Give it to whatever takes a signal (fetch, timers, the client's methods): what that throws settles the job rightly.
   */
  readonly signal: AbortSignal;
  /** The worker's client, for pushing more jobs. */
  readonly client: Client;
  /** Why the handler should stop: cancel, lease_lost, timeout or shutdown; null while it need not. */
  readonly reason: StopReason | null;
  /** When the lease ends if no further heartbeat is answered, by this machine's clock. */
  readonly leaseExpiresAt: Date;
  /**
   * Throw `Stopped` when the handler should stop, which settles the job as the reason asks.
   *
   * Returning early would be an ack: the server would believe that the work was done.
   */
  readonly check: () => void;
  /**
   * Tell how far the job is, 0 to 100, and add *message* to its log.
   *
   * Where the server cannot be reached this is logged and passed over; a lost lease is heard through `signal`. Rejects with
   * ValidationError for a percentage that is none.
   */
  readonly progress: (percent: number, message?: string) => Promise<void>;
  /** Add *message* to the job's log; its progress stays as it is. */
  readonly log: (message: string) => Promise<void>;
}

/** What a context is made from. *reporter* is the client, with more haste. */
export interface ContextParts {
  readonly held: HeldJob;
  readonly client: Client;
  readonly reporter: Client;
  readonly runtime: Runtime;
  readonly log: Log;
}

export function contextOf({ held, client, reporter, runtime, log }: ContextParts): JobContext {
  const { job } = held;
  let percent = job.progress ?? 0;
  const progress = async (next: number, message?: string): Promise<void> => {
    percent = next;
    try {
      await reporter.progress(job, next, { message });
    } catch (error) {
      if (!isJobwireError(error)) throw error;
      if (GONE.has(error.code)) held.stop('lease_lost');
      else if (!error.retryable) throw error;
      else log('warn', `progress lost: ${error}`, { jobId: job.id });
    }
  };
  return {
    attempt: job.attempt,
    signal: held.signal,
    client,
    get reason() {
      return held.reason;
    },
    get leaseExpiresAt() {
      return new Date(runtime.now() + held.expiresAt - runtime.monotonic());
    },
    check: () => {
      if (held.reason !== null) throw new Stopped(held.reason);
    },
    progress,
    log: (message) => progress(percent, message),
  };
}
