/** What the heart's thread knows of the worker. */

import type { BlockDetector } from './worker-core.ts';
import type { HeartView, HeldView, ReportView } from './worker-heart.ts';

/** What the worker holds now, and how it is. */
export interface HeldNews {
  readonly added: readonly HeldView[];
  readonly removed: readonly string[];
  readonly report: ReportView;
}

/**
 * What the worker holds, as it last said.
 *
 * A job whose own timeout is over is left out while the event loop is blocked, which could never abort it.
 */
export class Mirror implements HeartView {
  readonly #held = new Map<string, HeldView>();
  readonly #blockedMs: number;
  readonly #detector: BlockDetector;
  readonly #now: () => number;
  #report: ReportView;

  /** *detector* watches the event loop, which is blocked once it has been silent for *blockedMs*. */
  constructor(report: ReportView, detector: BlockDetector, blockedMs: number, now: () => number) {
    this.#report = report;
    this.#detector = detector;
    this.#blockedMs = blockedMs;
    this.#now = now;
  }

  update({ added, removed, report }: HeldNews): void {
    for (const held of added) this.#held.set(held.key, held);
    for (const key of removed) this.#held.delete(key);
    this.#report = report;
  }

  held(): HeldView[] {
    const now = this.#now();
    const all = [...this.#held.values()];
    if (this.#detector.silentMs(now) < this.#blockedMs) return all;
    return all.filter((held) => held.endsAt === null || now < held.endsAt);
  }

  report(): ReportView {
    return this.#report;
  }
}
