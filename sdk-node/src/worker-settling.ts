/**
 * Settlements on their way to the server: what may still be sent, what an answer means, and when a job is done with.
 *
 * No I/O; the settler sends what `batches` gives and tells what came back.
 */

import type { JobwireError } from './errors.ts';
import type { Log } from './log.ts';
import type { ItemResult } from './models.ts';
import {
  type Batch,
  batchesOf,
  canStillLive,
  judge,
  judgeError,
  type Verdict,
} from './worker-core.ts';
import type { HeldJob, HeldJobs } from './worker-held.ts';
import { leaseKey } from './worker-held.ts';
import { fail, type Settlement } from './worker-outcome.ts';

/** Decides about settlements; `onSettled` is called once for each held job that is done with. */
export class Ledger {
  readonly #held: HeldJobs;
  readonly #onSettled: (held: HeldJob) => void;
  readonly #log: Log;
  /** Leases whose settlement was refused in company, and is sent one by one. */
  readonly #alone = new Set<string>();
  #sendsSingly = false;

  constructor(held: HeldJobs, onSettled: (held: HeldJob) => void, log: Log) {
    this.#held = held;
    this.#onSettled = onSettled;
    this.#log = log;
  }

  /** Whether the server has no batch for failures (wire version 1). */
  get sendsSingly(): boolean {
    return this.#sendsSingly;
  }

  /** What is still worth sending, in batches; the rest is dropped with a line in the log. */
  batches(settlements: Iterable<Settlement>, now: number, lastContact: number): Batch[] {
    const together: Settlement[] = [];
    const alone: Settlement[] = [];
    for (const item of settlements) {
      const held = this.#held.get(item.job);
      if (held === undefined) continue; // settled meanwhile
      if (!this.#maySend(held, now, lastContact)) {
        this.#end(held);
        continue;
      }
      held.isSent = true;
      const goesAlone = this.#sendsSingly || this.#alone.has(held.key);
      (goesAlone ? alone : together).push(item);
    }
    return [...batchesOf(together), ...alone.map((item) => ({ kind: item.kind, items: [item] }))];
  }

  #maySend(held: HeldJob, now: number, lastContact: number): boolean {
    if (held.reason === 'lease_lost' && !held.isSent) return false;
    if (canStillLive(now, held.expiresAt, lastContact)) return true;
    this.#log('warn', 'outcome dropped, the lease is over', { jobId: held.job.id });
    return false;
  }

  /** Note the answer to a batch; what must be sent again. */
  answered(batch: Batch, results: readonly ItemResult[]): Settlement[] {
    return batch.items.flatMap((item, index) => {
      const result = results[index];
      // Without a result for it, nobody knows; the server says `already` when it had been done.
      return result === undefined ? [item] : this.#settle(item, judge(result), result.error);
    });
  }

  /** Note that a batch as a whole met with *error*; what must be sent again. */
  refused(batch: Batch, error: JobwireError): readonly Settlement[] {
    const verdict = judgeError(error);
    if (error.code === 'UNKNOWN_COMMAND' && batch.kind === 'fail' && !this.#sendsSingly) {
      this.#sendsSingly = true;
      return batch.items;
    }
    if (verdict === 'again') return batch.items;
    if (batch.items.length > 1) {
      // One of them spoils the others; find out which.
      for (const item of batch.items) this.#alone.add(leaseKey(item.job));
      return batch.items;
    }
    return batch.items.flatMap((item) => this.#settle(item, verdict, error));
  }

  #settle(item: Settlement, verdict: Verdict, error: JobwireError | null): Settlement[] {
    if (verdict === 'again') return [item];
    if (verdict === 'refused' && item.kind === 'ack') {
      return [fail(item.job, `the handler's result was refused: ${error}`)];
    }
    if (verdict !== 'done') {
      const line = verdict === 'gone' ? 'outcome dropped, the lease is lost' : 'outcome refused';
      this.#log('warn', `${line}: ${error}`, { jobId: item.job.id });
    }
    const held = this.#held.get(item.job);
    if (held !== undefined) this.#end(held);
    return [];
  }

  #end(held: HeldJob): void {
    this.#alone.delete(held.key);
    if (this.#held.remove(held)) this.#onSettled(held);
  }
}
