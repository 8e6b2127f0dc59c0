/**
 * One job at a time: workOne for a job of a server.
 *
 * It decides what becomes of a job as workers do, with the same functions, and has neither heartbeats nor timeouts.
 */

import type { Client } from '../client.ts';
import { INTERNALS } from '../client-core.ts';
import type { Job } from '../models.ts';
import { Worker } from '../worker.ts';
import { contextOf } from '../worker-context.ts';
import { type BoundHandler, HANDLERS, type Handler, HandlerTable } from '../worker-handlers.ts';
import { HeldJob } from '../worker-held.ts';
import { type Ending, type Settlement, settlementOf, unknownName } from '../worker-outcome.ts';

const LEASE_MS = 30_000;

/** Functions by job name, each of which says what its data is: `(job: Job<Mail>) => …`; or a Worker with its handlers. */
export type Handlers = Worker | Readonly<Record<string, Handler<never>>>;

/** What a handler made of a job, and what the server was told. */
export interface Outcome {
  /** The job as it was pulled. */
  readonly job: Job;
  /** `discard` is a fail that is not tried again. */
  readonly kind: 'ack' | 'fail' | 'discard' | 'release';
  /** What the handler returned, after an ack; null when that was nothing. */
  readonly result: unknown;
  /** The text of a fail; null after anything else. */
  readonly error: string | null;
  /** What the handler threw; null when it returned. */
  readonly exception: unknown;
}

export interface WorkOneOptions {
  /** How long to wait for a job. @default 0 */
  readonly waitMs?: number | undefined;
}

/**
 * Pull at most one job, run its handler, and tell the server how it ended.
 *
 *     const outcome = await workOne(client, 'emails', {
 *       welcome: async (job: Job<Mail>) => send(job.data.to),
 *     });
 *     assert.equal(outcome?.kind, 'ack');
 *
 * *client* is any client, of a FakeServer or of a real server. *handlers* are functions by job name, or a Worker whose
 * handlers and wrapper are used; it need not be started. Gives null when there was no job. What a handler throws is in the
 * outcome; only what the client throws rejects.
 */
export async function workOne(
  client: Client,
  queues: string | readonly string[],
  handlers: Handlers,
  { waitMs = 0 }: WorkOneOptions = {},
): Promise<Outcome | null> {
  const table = tableOf(handlers);
  const [job] = await client.pull(queues, { waitMs, leaseMs: LEASE_MS });
  return job === undefined ? null : work(client, job, table);
}

export type Table = ReadonlyMap<string, BoundHandler>;

export function tableOf(handlers: Handlers): Table {
  if (handlers instanceof Worker) return handlers[HANDLERS];
  const table = new HandlerTable();
  for (const [name, handler] of Object.entries(handlers)) table.add(name, handler);
  return table.wrapped(undefined);
}

/** Run the handler of *job*, and settle it through *client*. */
export async function work(client: Client, job: Job, table: Table): Promise<Outcome> {
  const handler = table.get(job.name);
  if (handler === undefined) return told(client, unknownName(job, table.keys()), null);
  const { runtime, log } = client[INTERNALS];
  const held = new HeldJob(job, runtime.monotonic() + LEASE_MS);
  const ending = await endingOf(
    handler,
    job,
    contextOf({ held, client, reporter: client, runtime, log }),
  );
  const exception = ending.returned ? null : ending.error;
  const settlement = settlementOf(job, ending, held.reason);
  if (settlement !== null) return told(client, settlement, exception);
  // The lease was lost, which ctx.progress() heard.
  return { job, kind: 'release', result: null, error: null, exception };
}

async function endingOf(
  handler: BoundHandler,
  job: Job,
  context: Parameters<BoundHandler>[1],
): Promise<Ending> {
  try {
    return { returned: true, value: await handler(job, context) };
  } catch (error) {
    return { returned: false, error }; // whatever a handler throws is its job's failure
  }
}

async function told(client: Client, settlement: Settlement, exception: unknown): Promise<Outcome> {
  const { job, kind } = settlement;
  const nothing = { job, result: null, error: null, exception };
  switch (kind) {
    case 'ack': {
      const { result } = settlement;
      await client.ack(job, { result });
      return { ...nothing, kind, result: result ?? null };
    }
    case 'fail': {
      const { error, retryInMs, discard = false } = settlement;
      await client.fail(job, error, { retryInMs, discard });
      return { ...nothing, kind: discard ? 'discard' : 'fail', error };
    }
    case 'release':
      await client.release(job, { delayMs: settlement.delayMs });
      return { ...nothing, kind };
  }
}
