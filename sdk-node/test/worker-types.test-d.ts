/** What the types of a worker promise. Compiled and never run; a line that says so must not compile. */

import { type Client, type Job, type JobContext, type StopReason, Worker } from '../src/index.ts';
import { expectType } from './expect-type.ts';

interface Mail {
  to: string;
}

export async function promises(client: Client): Promise<void> {
  await using worker = new Worker(client, {
    queues: ['a', 'b'],
    weights: [1, 2],
    names: undefined,
  });
  worker.handle('typed by its parameter', async (job: Job<Mail>, ctx) => {
    expectType<JobContext>()(ctx, true);
    expectType<AbortSignal>()(ctx.signal, true);
    expectType<StopReason | null>()(ctx.reason, true);
    await ctx.progress(50, 'half');
    return job.data.to;
  });
  worker.handle<Mail>('typed by its name', (job) => expectType<string>()(job.data.to, true));
  worker.handle('typed by its schema', (job) => expectType<number>()(job.data, true), {
    data: (value: unknown) => Number(value),
  });
  worker
    .handle('by parse', (job) => expectType<Mail>()(job.data, true), {
      data: { parse: (value: unknown) => value as Mail },
    })
    .handle('chained', () => {});
  expectType<boolean>()(await worker.stop({ timeoutMs: 5 }), true);
  expectType<void>()(await worker.run({ signal: AbortSignal.timeout(5) }), true);
}

export function refusals(client: Client, worker: Worker): void {
  // @ts-expect-error a worker needs queues
  new Worker(client, {});
  // @ts-expect-error durations end in Ms
  new Worker(client, { queues: 'q', lease: 5 });
  // @ts-expect-error payloads are unknown until somebody says what they are
  worker.handle('untyped', (job) => job.data.to);
  // @ts-expect-error a schema for another type than the handler's
  worker.handle('other', (job: Job<Mail>) => job, { data: (value) => Number(value) });
}
