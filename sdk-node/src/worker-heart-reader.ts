/** Acts on what the heart hears: leases renewed, handlers to stop, connections to build anew. In the worker's thread. */

import { errorFor } from './errors.ts';
import type { Log } from './log.ts';
import type { Runtime } from './runtime.ts';
import { Hearing } from './worker-core.ts';
import { type Beat, clock, type HeartEvent, type Miss } from './worker-heart.ts';
import type { HeldJobs } from './worker-held.ts';
import type { SharedLink } from './worker-link.ts';
import type { WorkerSettings } from './worker-options.ts';

export interface ReaderParts {
  readonly held: HeldJobs;
  readonly link: SharedLink;
  readonly settings: Pick<WorkerSettings, 'heartbeatMs' | 'leaseMs'>;
  readonly runtime: Pick<Runtime, 'monotonic'>;
  readonly log: Log;
  /** Called when jobs should be fetched over a new connection. */
  readonly onDeaf: () => void;
  /** Called when the server does not answer: connections on which nothing is out may be as dead as this one. */
  readonly onSilence: () => void;
  /** Called when the server answers again, with the instant of the last failure by the heart's clock. */
  readonly onRecovered: (failedAt: number) => void;
  /** Called when the server has heard that the worker drains. */
  readonly onQuiet: () => void;
}

export class HeartReader {
  readonly #parts: ReaderParts;
  readonly #hearing: Hearing;
  /** When a heartbeat last failed; null once every pull that was out then has been seen to end. */
  #failedAt: number | null = null;
  /** The same, until the next answer. */
  #missedAt: number | null = null;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.#hearing = new Hearing(parts.settings.heartbeatMs);
  }

  read(event: HeartEvent): void {
    if (event.kind === 'miss') this.#missed(event);
    else this.#heard(event);
  }

  #missed({ code, message, retryable, retryAfterMs, at }: Miss): void {
    this.#failedAt = at;
    this.#missedAt = at;
    const error = errorFor(code, message, { retryable, retryAfterMs });
    this.#parts.link.failed('heartbeat', error, this.#mine(at));
    if (code === 'TIMEOUT') this.#parts.onSilence();
  }

  #heard(beat: Beat): void {
    this.#parts.link.answered('heartbeat', this.#mine(beat.endedAt));
    this.#renew(beat);
    this.#stop(beat);
    if (this.#missedAt !== null) this.#parts.onRecovered(this.#missedAt);
    this.#missedAt = null;
    this.#rebuild(beat);
    if (beat.report.state === 'quiet') this.#parts.onQuiet();
  }

  /** An instant of the heart's clock by the worker's own. */
  #mine(at: number): number {
    return this.#parts.runtime.monotonic() - (clock() - at);
  }

  #renew({ renewed, startedAt }: Beat): void {
    // From when the request left: the server's own count starts later, never sooner.
    const expiresAt = this.#mine(startedAt) + this.#parts.settings.leaseMs;
    for (const key of renewed) {
      const held = this.#parts.held.byKey(key);
      if (held !== undefined) held.expiresAt = expiresAt;
    }
  }

  #stop({ lost, cancelled }: Beat): void {
    for (const key of lost) {
      const held = this.#parts.held.byKey(key);
      // Once its settlement is on its way, the answer to that says whether the lease was still good.
      if (held !== undefined && !held.isSent && held.stop('lease_lost')) {
        this.#parts.log('warn', 'lease lost', { jobId: held.job.id });
      }
    }
    for (const held of this.#parts.held.withIds(new Set(cancelled))) held.stop('cancel');
  }

  /**
   * Have jobs fetched over a new connection where the old one brings nothing, as the server says, or may be dead: a pull
   * that was sent before heartbeats failed would else wait for its whole time, and what it was given with it.
   */
  #rebuild({ report, startedAt, ...beat }: Beat): void {
    const outlived = this.#failedAt !== null && (report.lastPullAt ?? startedAt) <= this.#failedAt;
    if (!outlived) this.#failedAt = null;
    const now = clock();
    // What was said while the event loop was blocked is old; the next heartbeat says it again if it still holds.
    const deaf = beat.deaf && now - beat.endedAt < this.#parts.settings.heartbeatMs;
    if (!this.#hearing.mustRebuild({ deaf: deaf || outlived, free: report.free, now })) return;
    this.#failedAt = null;
    const why = deaf ? 'the server finds this worker deaf' : 'the connection was lost';
    this.#parts.log('warn', `${why}; fetching over a new connection`);
    this.#parts.onDeaf();
  }
}
