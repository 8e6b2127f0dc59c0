/** What the types promise. Compiled and never run; a line that says so must not compile. */

import type {
  AnyJobState,
  Client,
  Job,
  JobRef,
  JobwireError,
  Page,
  PushResult,
} from '../src/index.ts';
import { isJobwireError, RequestTimeoutError, Worker } from '../src/index.ts';
import { expectType } from './expect-type.ts';

interface Mail {
  to: string;
}

export async function promises(client: Client, job: Job<Mail>): Promise<void> {
  expectType<PushResult>()(await client.push('q', 'n'), true);
  expectType<PushResult[]>()(await client.pushBatch('q', []), true);
  expectType<(PushResult | JobwireError)[]>()(
    await client.pushBatch('q', [], { atomic: false }),
    true,
  );
  expectType<Job<unknown>[]>()(await client.pull('q'), true);
  expectType<Job<Mail>[]>()(await client.pull<Mail>(['q'], { count: 5, waitMs: 1 }), true);
  expectType<string>()(job.data.to, true);
  expectType<AnyJobState>()(job.state, true);
  expectType<boolean>()(await client.ack(job, { result: { sent: true } }), true);
  expectType<Page<Mail>>()(await client.findPage<Mail>(), true);
  for await (const found of client.find<Mail>({ state: ['dlq'] }))
    expectType<Job<Mail>>()(found, true);
  expectType<void>()(await client.ping({ signal: AbortSignal.timeout(1) }), true);
  await client.push<Mail>('q', 'n', { to: 'a' });
  await client.push('q', 'n', null, { delayMs: undefined, signal: undefined });
  await client.updateQueue('q', { leaseMs: null });
  await using closed = client;
  void closed;
}

export async function refusals(client: Client, job: Job): Promise<void> {
  // @ts-expect-error payloads are unknown until somebody says what they are
  job.data.to;
  // @ts-expect-error a job does not change
  job.state = 'dlq';
  // @ts-expect-error of another type
  await client.push<Mail>('q', 'n', { to: 5 });
  // @ts-expect-error no such option
  await client.push('q', 'n', null, { delay: 5 });
  // @ts-expect-error no such strategy
  await client.push('q', 'n', null, { backoff: 'sometimes' });
  // @ts-expect-error durations are numbers
  await client.pull('q', { waitMs: '5s' });
  // @ts-expect-error settings need their object
  await client.updateQueue('q');
  // @ts-expect-error a job, its id, or anything with an id
  await client.ack(5);
  // @ts-expect-error instants are Dates
  await client.push('q', 'n', null, { runAt: '2030-01-01T00:00:00Z' });
}

export function narrowed(error: unknown): number | null {
  if (error instanceof RequestTimeoutError) expectType<number | null>()(error.status, true);
  return isJobwireError(error, 'QUEUE_FULL') ? error.retryAfterMs : null;
}

export const refs: JobRef[] = ['a', { id: 'a' }, { id: 'a', lease: null }];
export const worker: typeof Worker = Worker;
