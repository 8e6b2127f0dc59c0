/** What a heart needs of the worker and is for it, wherever it beats; and the one that beats in the worker's event loop. */

import { Client } from './client.ts';
import { INTERNALS } from './client-core.ts';
import {
  clock,
  FIRST_BEAT_MS,
  Heart,
  type HeartEvent,
  type HeldView,
  heartTimes,
  type ReportView,
} from './worker-heart.ts';
import type { HeldJob, HeldJobs, LeaseWatcher } from './worker-held.ts';
import { Changes, keep, type LoopParts } from './worker-loops.ts';
import type { WorkerSettings } from './worker-options.ts';

export interface BodyParts extends LoopParts {
  readonly client: Client;
  readonly held: HeldJobs;
  readonly settings: WorkerSettings;
  readonly report: () => ReportView;
  readonly read: (event: HeartEvent) => void;
}

/** A heart that beats somewhere. As a LeaseWatcher it must be told of leases before their handlers start. */
export interface HeartBody extends LeaseWatcher {
  /** The report has changed. */
  changed(): void;
  /** Have all that was told known to the heart, whatever the event loop does from now on. */
  sync(): void;
  /** Have everything read that the heart has heard so far. */
  drain(): void;
  /** Have the next heartbeat leave now. */
  poke(): void;
  stop(): Promise<void>;
}

export function viewOf(held: HeldJob): HeldView {
  return { id: held.job.id, lease: held.job.lease, key: held.key, endsAt: held.endsAt };
}

/** Beats in the event loop; a gap between two turns that is longer than `blockWarningMs` is told when it is over. */
export class LoopBody implements HeartBody {
  readonly #heart: Heart;
  readonly #client: Client;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  /** Resolves when the first heartbeat was answered, or failed, or after a while. */
  readonly begun: Promise<unknown>;

  constructor(parts: BodyParts) {
    const { client, held, settings, report, read, runtime } = parts;
    this.#client = client[INTERNALS].sibling((one) => new Client(one), heartTimes(settings));
    const view = { held: () => held.leased().map(viewOf), report };
    const beaten = new Changes();
    let beats = 0;
    this.begun = beaten.within(FIRST_BEAT_MS, () => beats > 0);
    const tell = (event: HeartEvent): void => {
      beats += 1;
      beaten.tell();
      read(event);
    };
    this.#heart = new Heart({ client: this.#client, view, settings, runtime, tell });
    this.#running = keep('heart', () => this.#heart.run(), this.#ending.signal, parts);
    this.#timer = watchLoop(parts);
  }

  added(): void {}
  removed(): void {}
  changed(): void {}
  sync(): void {}
  drain(): void {}

  poke(): void {
    this.#heart.poke();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#ending.abort();
    this.#heart.stop();
    await this.#client.close();
    await this.#running;
  }
}

function watchLoop({ settings, log }: BodyParts): NodeJS.Timeout {
  const { blockWarningMs: limit } = settings;
  let last = clock();
  const look = (): void => {
    const gap = clock() - last;
    last = clock();
    if (gap > limit * 1.25) logBlock(log, gap, '');
  };
  return setInterval(look, Math.max(limit / 4, 1)).unref();
}

export function logBlock(log: LoopParts['log'], ms: number, stack: string): void {
  const place = stack && `; it was here:\n${stack}`;
  const lasted = Math.round(ms);
  log('warn', `event loop blocked for ${lasted} ms${place}`, { blockedMs: lasted, stack });
}
