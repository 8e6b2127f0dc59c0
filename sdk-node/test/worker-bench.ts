/** A settler at work, with a scripted client in place of the wire and a clock that only sleeping moves. */

import { errorFor } from '../src/errors.ts';
import type { ItemResult, Job } from '../src/models.ts';
import { RUNTIME, type Runtime } from '../src/runtime.ts';
import { HeldJob, HeldJobs } from '../src/worker-held.ts';
import { SharedLink } from '../src/worker-link.ts';
import { Changes } from '../src/worker-loops.ts';
import { Settler, type SettlingClient } from '../src/worker-settler.ts';
import { Ledger } from '../src/worker-settling.ts';

/** Plays the client: `calls` keeps what was sent, `errors` are those of whole calls, `refused` is job id → code. */
export class Peer implements SettlingClient {
  readonly calls: [string, ...string[]][] = [];
  errors: unknown[] = [];
  refused: Record<string, string> = {};
  /** Resolves when a call may be answered. */
  gate: () => Promise<void> = async () => {};
  onCall: () => void = () => {};

  async ackBatch(items: readonly { job: Job }[]): Promise<readonly ItemResult[]> {
    return this.#answer(
      'ackBatch',
      items.map(({ job }) => job.id),
    );
  }

  async failBatch(items: readonly { job: Job }[]): Promise<readonly ItemResult[]> {
    return this.#answer(
      'failBatch',
      items.map(({ job }) => job.id),
    );
  }

  async fail(job: Job): Promise<void> {
    await this.#one('fail', job);
  }

  async release(job: Job): Promise<void> {
    await this.#one('release', job);
  }

  async close(): Promise<void> {}

  async #one(op: string, job: Job): Promise<void> {
    const [result] = await this.#answer(op, [job.id]);
    if (result?.error) throw result.error;
  }

  async #answer(op: string, ids: string[]): Promise<ItemResult[]> {
    this.calls.push([op, ...ids]);
    this.onCall();
    await this.gate();
    if (this.errors.length > 0) throw this.errors.shift();
    return ids.map((id) => {
      const code = this.refused[id];
      const error = code === undefined ? null : errorFor(code);
      return { id, ok: error === null, error } as ItemResult;
    });
  }
}

/** A settler with its ledger, and a clock that only sleeping moves. */
export class Bench {
  now = 0;
  readonly slept: number[] = [];
  readonly said: string[] = [];
  readonly settled: string[] = [];
  readonly changes = new Changes();
  readonly held = new HeldJobs();
  readonly peer = new Peer();
  readonly link: SharedLink;
  readonly settler: Settler;
  readonly ending = new AbortController();

  constructor(u = 1) {
    const runtime: Runtime = {
      ...RUNTIME,
      monotonic: () => this.now,
      random: () => u,
      sleep: async (ms) => {
        this.slept.push(ms);
        this.now += ms;
        await new Promise(setImmediate);
      },
    };
    const log = (_level: string, message: string): void => void this.said.push(message);
    this.link = new SharedLink(runtime, log, () => {});
    const ledger = new Ledger(this.held, (held) => this.#done(held), log);
    this.settler = new Settler(this.peer, ledger, runtime, this.link);
    this.peer.onCall = () => this.changes.tell();
  }

  #done(held: HeldJob): void {
    this.settled.push(held.job.id);
    this.changes.tell();
  }

  hold(id: string, leaseMs = 30_000): Job {
    const job = { id, lease: `1-${id}` } as Job;
    this.held.add(new HeldJob(job, this.now + leaseMs));
    return job;
  }

  /** Run until so many jobs are settled. */
  async settles(count: number): Promise<void> {
    const running = this.settler.run(this.ending.signal);
    await Promise.race([running, this.changes.until(() => this.settled.length >= count)]);
    this.ending.abort();
    await running;
  }
}
