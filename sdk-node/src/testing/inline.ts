/**
 * inlineClient: a client without a server, for code that pushes. A push runs the job's handler before it resolves.
 *
 * The queue behind it is that of FakeServer; neither sockets nor real time are involved.
 */

import { Client } from '../client.ts';
import { errorFor } from '../errors.ts';
import { parseJob } from '../job.ts';
import type { Job } from '../models.ts';
import type { Reply, Request } from '../request.ts';
import { clientClosed, type NoticeCallback, Notices, type Transport } from '../transport.ts';
import { errorView } from './fake-answers.ts';
import { type Answer, jobView, Refused } from './fake-job.ts';
import { dumps, parseStrict } from './fake-json.ts';
import { pull } from './fake-leases.ts';
import { FakeOperations } from './fake-operations.ts';
import { FakeState } from './fake-state.ts';
import { advance } from './fake-time.ts';
import { type Handlers, type Outcome, type Table, tableOf, work } from './run-one.ts';

const CALLER = { door: 'inline', version: 2, session: null, client: null } as const;

export interface InlineOptions {
  /** Where the clock starts. @default the real time */
  readonly now?: Date | undefined;
  /** Throw what a handler throws, after the job was settled, from the push that ran it. @default false */
  readonly raiseErrors?: boolean | undefined;
}

/**
 * A client without a server: a push runs the job's handler before it resolves.
 *
 *     const client = inlineClient({ welcome });
 *     await client.push('emails', 'welcome', { to: 'ada' });
 *     assert.equal(client.outcomes.at(-1)?.kind, 'ack');
 *
 * Everything else of a client works too, on a queue in memory: `getJob` shows the result, `find` and `stats` the rest.
 * Delayed jobs and retries run in `advance`. Jobs without a handler stay waiting. *handlers* are functions by job name, or a
 * Worker whose handlers and wrapper are used; it need not be started.
 */
export function inlineClient(handlers: Handlers, options: InlineOptions = {}): InlineClient {
  return new InlineClient(tableOf(handlers), options);
}

/** What inlineClient makes. */
export class InlineClient extends Client {
  /** What every handler did, in the order in which they ended. */
  readonly outcomes: Outcome[] = [];
  readonly #state: FakeState;
  readonly #table: Table;
  readonly #raiseErrors: boolean;
  /** Jobs whose handlers run now; each ends when its job is settled. */
  readonly #running = new Map<string, Promise<unknown>>();

  /** @internal */
  constructor(table: Table, { now, raiseErrors = false }: InlineOptions) {
    const state = new FakeState(now?.getTime() ?? Date.now());
    super({
      transport: new InlineTransport(state, (ids) => this.#afterPush(ids)),
      retries: 0,
    });
    this.#state = state;
    this.#table = table;
    this.#raiseErrors = raiseErrors;
  }

  /** Move the clock on by *ms*, and run what has become ready: delayed jobs, and retries after their backoff. */
  async advance(ms: number): Promise<void> {
    advance(this.#state, Math.round(ms));
    await this.#runReady();
  }

  /** Jobs that another call is running are part of the push that made them, too. */
  async #afterPush(ids: readonly string[]): Promise<void> {
    await this.#runReady();
    await Promise.all(ids.map((id) => this.#running.get(id)));
  }

  /** Run every ready job that has a handler; a handler that pushes runs those jobs first. */
  async #runReady(): Promise<void> {
    for (let job = this.#take(); job !== null; job = this.#take()) {
      const running = work(this, job, this.#table);
      const ended = running.catch(() => {}); // whoever runs it is told
      this.#running.set(job.id, ended);
      const outcome = await running.finally(() => this.#running.delete(job?.id ?? ''));
      this.outcomes.push(outcome);
      if (this.#raiseErrors && outcome.exception !== null) throw outcome.exception;
    }
  }

  #take(): Job | null {
    const names = [...this.#table.keys()];
    if (names.length === 0) return null;
    const queues = [...new Set([...this.#state.jobs.values()].map((job) => job.queue))].sort();
    const [job] = pull(this.#state, { queues, names }, null);
    if (job === undefined) return null;
    const text = dumps(jobView(job, { lease: true }));
    return parseJob(JSON.parse(text), () => text);
  }
}

/** Carries requests to the operations of the fake server. */
class InlineTransport implements Transport {
  readonly polls = false;
  readonly #operations: FakeOperations;
  readonly #pushed: (ids: readonly string[]) => Promise<void>;
  readonly #notices = new Notices();
  #isClosed = false;

  /** *pushed* is called with the ids of jobs that were accepted. */
  constructor(state: FakeState, pushed: (ids: readonly string[]) => Promise<void>) {
    this.#operations = new FakeOperations(state);
    this.#pushed = pushed;
  }

  async send(request: Request): Promise<Reply> {
    if (this.#isClosed) throw clientClosed();
    const fields = parseStrict(new TextEncoder().encode(request.tcpPayload()));
    const answer = this.#run(request.op, fields);
    if (request.op === 'push' || request.op === 'push_batch') await this.#pushed(newIds(answer));
    const text = dumps({ ok: true, ...answer });
    return { body: JSON.parse(text), text, status: null, requestId: null, retryAfterMs: null };
  }

  #run(operation: string, fields: unknown): Answer {
    try {
      return this.#operations.run(operation, fields, CALLER);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { code, message, details } = errorView(error) as {
        code: string;
        message: string;
        details: Answer | null;
      };
      throw errorFor(code, message, { details: details ?? {}, retryAfterMs: error.retryAfterMs });
    }
  }

  subscribe(callback: NoticeCallback): () => void {
    return this.#notices.subscribe(callback);
  }

  /** Nothing waits here. */
  interrupt(): void {}

  /** There are no connections. */
  closeIdle(): void {}

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}

/** The jobs that a push made; one that was there already may be the very job whose handler pushes. */
function newIds({ id, outcome, ids = [id], outcomes = [outcome] }: Answer): string[] {
  const made = outcomes as readonly (string | null)[];
  return (ids as string[]).filter((_, at) => made[at] === 'created' || made[at] === 'replaced');
}
