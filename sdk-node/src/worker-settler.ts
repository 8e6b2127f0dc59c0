/** Sends the outcomes of jobs, batch by batch, until the server has answered each of them. The Ledger decides. */

import { categoryOf, isJobwireError, type JobwireError, ProtocolError } from './errors.ts';
import type { ItemResult, Job } from './models.ts';
import type { Runtime } from './runtime.ts';
import { type Batch, itemResult, judge, judgeError } from './worker-core.ts';
import type { SharedLink } from './worker-link.ts';
import type { Fail, Settlement } from './worker-outcome.ts';
import type { Ledger } from './worker-settling.ts';

const CHANNEL = 'settle';
const UNREACHED: ReadonlySet<string | undefined> = new Set(['transport', 'timeout']);

/** What the settler needs of a client. */
export interface SettlingClient {
  ackBatch(items: readonly { job: Job; result?: unknown }[]): Promise<readonly ItemResult[]>;
  failBatch(items: readonly FailEntry[]): Promise<readonly ItemResult[]>;
  fail(job: Job, error: string, options?: FailHow): Promise<unknown>;
  release(job: Job, options?: { readonly delayMs?: number }): Promise<unknown>;
  close(): Promise<void>;
}

interface FailHow {
  readonly retryInMs?: number;
  readonly discard?: boolean;
}

interface FailEntry extends FailHow {
  readonly job: Job;
  readonly error: string;
}

/** One settlement leaves at once; those that come while it is on its way gather behind it to a batch. */
export class Settler {
  readonly #client: SettlingClient;
  readonly #ledger: Ledger;
  readonly #runtime: Runtime;
  readonly #link: SharedLink;
  #outbox: Settlement[] = [];
  #wake: () => void = () => {};

  constructor(client: SettlingClient, ledger: Ledger, runtime: Runtime, link: SharedLink) {
    this.#client = client;
    this.#ledger = ledger;
    this.#runtime = runtime;
    this.#link = link;
  }

  /** Have this sent as soon as the previous batch is answered. */
  put(settlement: Settlement): void {
    this.#outbox.push(settlement);
    this.#wake();
  }

  /** Close the connection. */
  close(): Promise<void> {
    return this.#client.close();
  }

  /** Send until *ending* aborts. A bug rejects, and nothing is lost: its batch is taken up again by the next run. */
  async run(ending: AbortSignal): Promise<void> {
    const wake = (): void => this.#wake();
    ending.addEventListener('abort', wake);
    try {
      while (!ending.aborted) await this.#turn(ending);
    } finally {
      ending.removeEventListener('abort', wake);
    }
  }

  async #turn(ending: AbortSignal): Promise<void> {
    if (this.#outbox.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      return;
    }
    const taken = this.#outbox;
    this.#outbox = [];
    let again: readonly Settlement[] = taken; // also when a bug throws: the ledger knows what is settled
    let delayMs = 0;
    try {
      ({ again, delayMs } = await this.#sendAll(taken));
    } finally {
      this.#outbox = [...again, ...this.#outbox];
    }
    if (delayMs > 0) await this.#runtime.sleep(delayMs, ending).catch(() => {}); // ends early with the worker
  }

  /** What must be sent again, and how long to wait before that. */
  async #sendAll(taken: Settlement[]): Promise<{ again: Settlement[]; delayMs: number }> {
    const again: Settlement[] = [];
    let delayMs = 0;
    const now = this.#runtime.monotonic();
    for (const batch of this.#ledger.batches(taken, now, this.#link.lastContact)) {
      try {
        const results = await this.#send(batch);
        again.push(...this.#ledger.answered(batch, results));
        delayMs = Math.max(delayMs, this.#delayAfter(results.find(mustRepeat)?.error ?? null));
      } catch (error) {
        if (!isJobwireError(error)) throw error;
        again.push(...this.#ledger.refused(batch, error));
        delayMs = Math.max(delayMs, this.#delayAfter(error));
      }
    }
    return { again, delayMs };
  }

  /** How long to wait after a batch; *error* is why some of it has to be sent again. */
  #delayAfter(error: JobwireError | null): number {
    if (error !== null && judgeError(error) === 'again') return this.#link.failed(CHANNEL, error);
    this.#link.answered(CHANNEL); // a refusal is an answer
    return 0;
  }

  async #send(batch: Batch): Promise<readonly ItemResult[]> {
    const results = await this.#results(batch.items);
    if (results.length !== batch.items.length) {
      throw new ProtocolError(
        'PROTOCOL_ERROR',
        `${batch.items.length} outcomes were answered with ${results.length} results`,
      );
    }
    return results;
  }

  #results(items: readonly Settlement[]): Promise<readonly ItemResult[]> {
    const acks = items.filter((item) => item.kind === 'ack');
    if (acks.length > 0) return this.#client.ackBatch(acks.map(ackEntry));
    const fails = items.filter((item) => item.kind === 'fail');
    if (fails.length === 0 || this.#ledger.sendsSingly) return this.#oneByOne(items);
    return this.#client.failBatch(fails.map((item) => ({ ...howOf(item), ...named(item) })));
  }

  async #oneByOne(items: readonly Settlement[]): Promise<readonly ItemResult[]> {
    const results: ItemResult[] = [];
    let lost: JobwireError | null = null; // the connection is: the rest waits for the next round
    for (const item of items) {
      const result: ItemResult = lost ? itemResult(item.job.id, lost) : await this.#alone(item);
      if (result.error !== null && UNREACHED.has(categoryOf(result.error.code)))
        lost = result.error;
      results.push(result);
    }
    return results;
  }

  /** Send one item; errors become its result, so that the others go on. */
  async #alone(item: Settlement): Promise<ItemResult> {
    try {
      if (item.kind === 'fail') await this.#client.fail(item.job, item.error, howOf(item));
      if (item.kind === 'release') {
        await this.#client.release(item.job, { delayMs: item.delayMs });
      }
    } catch (error) {
      if (!isJobwireError(error)) throw error;
      return itemResult(item.job.id, error);
    }
    return itemResult(item.job.id, null);
  }
}

function mustRepeat(result: ItemResult): boolean {
  return judge(result) === 'again';
}

function ackEntry(item: Settlement & { kind: 'ack' }): { job: Job; result?: unknown } {
  return item.result === undefined ? { job: item.job } : { job: item.job, result: item.result };
}

function named(item: Fail): { job: Job; error: string } {
  return { job: item.job, error: item.error };
}

function howOf({ retryInMs, discard }: Fail): FailHow {
  return {
    ...(retryInMs === undefined ? {} : { retryInMs }),
    ...(discard === undefined ? {} : { discard }),
  };
}
