/** Acts on what the heart hears: leases renewed, handlers to stop, fetching to do anew. In the worker's thread. */

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
  /** Called when the server has heard that the worker drains. */
  readonly onQuiet: () => void;
}

export class HeartReader {
  readonly #parts: ReaderParts;
  readonly #hearing: Hearing;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.#hearing = new Hearing(parts.settings.heartbeatMs);
  }

  read(event: HeartEvent): void {
    if (event.kind === 'miss') this.#missed(event);
    else this.#heard(event);
  }

  #missed({ code, message, retryable, retryAfterMs, at }: Miss): void {
    const error = errorFor(code, message, { retryable, retryAfterMs });
    this.#parts.link.failed('heartbeat', error, this.#mine(at));
  }

  #heard(beat: Beat): void {
    this.#parts.link.answered('heartbeat', this.#mine(beat.endedAt));
    this.#renew(beat);
    this.#stop(beat);
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

  /** Have jobs fetched over a new connection where the old one brings nothing, as the server says. */
  #rebuild({ report, deaf, endedAt }: Beat): void {
    const now = clock();
    // What was said while the event loop was blocked is old; the next heartbeat says it again if it still holds.
    const isNews = deaf && now - endedAt < this.#parts.settings.heartbeatMs;
    if (!this.#hearing.mustRebuild({ deaf: isNews, free: report.free, now })) return;
    this.#parts.log('warn', 'the server finds this worker deaf; fetching over a new connection');
    this.#parts.onDeaf();
  }
}
