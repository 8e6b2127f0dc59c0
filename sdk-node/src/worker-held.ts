/**
 * The jobs that a worker holds: their leases, and the one signal through which each handler hears that it should stop.
 *
 * Jobs are known by id and lease together, for a job that was lost may come back under a new lease while its old handler
 * still runs.
 */

import type { Job } from './models.ts';
import { Stopped, type StopReason } from './worker-outcome.ts';

/** What tells two leases of one job apart; also the name of a lease between threads. */
export function leaseKey(job: { readonly id: string; readonly lease?: string | null }): string {
  return `${job.id}\n${job.lease ?? ''}`;
}

/** One lease of one job, from its pull until its settlement is answered. */
export class HeldJob {
  readonly job: Job;
  readonly key: string;
  /** By our monotonic clock; a little early, never late. Written by whatever reads the answers of heartbeats. */
  expiresAt: number;
  /** True once its settlement has left, from when on the server decides. */
  isSent = false;
  /** When the job's own timeout is over, by the `clock` of the heart; null for a job without one. */
  readonly endsAt: number | null;
  /** Called once when the lease is found lost, from when on nobody keeps it alive. */
  onLost: (() => void) | null = null;
  /** Given back while the handler still runs; what it returns is dropped. */
  isAbandoned = false;
  readonly #controller = new AbortController();
  #reason: StopReason | null = null;

  constructor(job: Job, expiresAt: number, endsAt: number | null = null) {
    this.job = job;
    this.key = leaseKey(job);
    this.expiresAt = expiresAt;
    this.endsAt = endsAt;
  }

  /** Aborts, once, when the handler should stop; its reason is a `Stopped`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why the handler should stop; null while it need not. */
  get reason(): StopReason | null {
    return this.#reason;
  }

  /**
   * Ask the handler to stop; true when this was the first to ask, or the lease is found lost.
   *
   * The first reason stays; only a lost lease overrides it, since nothing may be sent after that.
   */
  stop(reason: StopReason): boolean {
    if (this.#reason === reason || (this.#reason !== null && reason !== 'lease_lost')) return false;
    this.#reason = reason;
    if (reason === 'lease_lost') this.onLost?.();
    this.#controller.abort(new Stopped(reason));
    return true;
  }
}

/** Told of each lease that begins to be kept alive, and of each that does no more. */
export interface LeaseWatcher {
  added(held: HeldJob): void;
  removed(held: HeldJob): void;
}

/** All of a worker's held jobs. */
export class HeldJobs {
  readonly #jobs = new Map<string, HeldJob>();
  /** Set once, before the first job. */
  watcher: LeaseWatcher | null = null;

  get size(): number {
    return this.#jobs.size;
  }

  add(held: HeldJob): void {
    this.#jobs.set(held.key, held);
    held.onLost = () => this.watcher?.removed(held);
    this.watcher?.added(held);
  }

  remove(held: HeldJob): boolean {
    const was = this.#jobs.delete(held.key);
    if (was && held.reason !== 'lease_lost') this.watcher?.removed(held);
    held.onLost = null;
    return was;
  }

  get(job: { readonly id: string; readonly lease?: string | null }): HeldJob | undefined {
    return this.#jobs.get(leaseKey(job));
  }

  byKey(key: string): HeldJob | undefined {
    return this.#jobs.get(key);
  }

  all(): HeldJob[] {
    return [...this.#jobs.values()];
  }

  /** Those whose lease is to be kept alive. */
  leased(): HeldJob[] {
    return this.all().filter((held) => held.reason !== 'lease_lost');
  }

  withIds(ids: ReadonlySet<string>): HeldJob[] {
    return ids.size === 0 ? [] : this.all().filter((held) => ids.has(held.job.id));
  }
}
