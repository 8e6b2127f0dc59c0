/** What a worker does with a job does not depend on how it travels: here over TCP, with the heart in the event loop. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../src/client.ts';
import type { ClientOptions, JobOptions } from '../src/options.ts';
import { Discard, Release, RetryIn } from '../src/outcomes.ts';
import { RUNTIME } from '../src/runtime.ts';
import { Worker } from '../src/worker.ts';
import type { WorkerOptions } from '../src/worker-options.ts';
import { Deaf, ends, gate, Listener, until, WorkerServer } from './worker-server.ts';

const server = new WorkerServer();
let queues = 0;
let client: Client;
let queue = '';

before(async () => {
  await server.start();
  // A time of its own cannot be had in another thread.
  client = new Client({ url: server.url('tcp'), _runtime: { ...RUNTIME } } as ClientOptions);
});
after(async () => {
  await client.close();
  await server.stop();
});

function worker(options: Partial<WorkerOptions> = {}): Worker {
  queues += 1;
  queue = `q${queues}`;
  return new Worker(client, { queues: queue, ...options });
}

async function push(name = 'job', data: unknown = null, options: JobOptions = {}): Promise<string> {
  return (await client.push(queue, name, data, options)).id;
}

for (const [outcome, state, attempt] of [
  [new Discard('never'), 'dlq', 1],
  [new RetryIn({ ms: 60_000, reason: 'later' }), 'delayed', 1],
  [new Release({ delayMs: 60_000 }), 'delayed', 0],
  [new RangeError('broken'), 'delayed', 1],
] as const) {
  test(`a handler that throws ${outcome.name} makes its job ${state}`, async () => {
    await using one = worker({ concurrency: 1 });
    one.handle('job', () => {
      throw outcome;
    });
    const id = await push('job', null, { backoffDelayMs: 60_000 });
    await one.start();

    assert.equal((await ends(client, id, state)).attempt, attempt);
  });
}

test('a job without a handler fails and is tried again', async () => {
  await using one = worker();
  const id = await push('job', null, { backoffDelayMs: 60_000 });
  await one.start();

  const { lastError } = await ends(client, id, 'delayed');
  assert.equal(lastError, "no handler for 'job' on this worker; it has: none");
});

test('progress and log lines reach the job, also through a context that was taken apart', async () => {
  await using one = worker();
  one.handle('job', async (_job, { progress, log: note, leaseExpiresAt, attempt }) => {
    await progress(40, 'resizing');
    await note('still there');
    return [attempt, leaseExpiresAt.getTime() - Date.now()];
  });
  const id = await push();
  await one.start();

  const job = await ends(client, id, 'completed');
  const [attempt, leftMs] = job.result as [number, number];
  assert.equal(job.progress, 40);
  assert.deepEqual(
    job.logs.map((line) => line.message),
    ['resizing', 'still there'],
  );
  assert.equal(attempt, 0);
  assert.ok(leftMs > 20_000 && leftMs <= 30_000, `${leftMs} ms are left of the lease`);
});

test('a wrapper goes around every handler and errors are reported', async () => {
  const seen: string[] = [];
  const errors: string[] = [];
  await using one = worker({
    wrap: (next) => async (job, ctx) => {
      seen.push(job.name);
      return next(job, ctx);
    },
    onError: (error, job) => {
      errors.push(`${job?.name}: ${(error as Error).message}`);
      throw new Error('a broken reporter breaks nothing');
    },
  });
  one
    .handle('good', () => {})
    .handle('bad', async () => {
      throw new RangeError('broken');
    });
  const [bad, good] = [await push('bad', null, { backoffDelayMs: 60_000 }), await push('good')];
  await one.start();

  await ends(client, bad, 'delayed');
  await ends(client, good, 'completed');
  assert.deepEqual(seen.sort(), ['bad', 'good']);
  assert.deepEqual(errors, ['bad: broken']);
});

test('a slot is free before a job is claimed', async () => {
  await using one = worker({ concurrency: 2 });
  const { opened, open } = gate();
  let running = 0;
  one.handle('job', async () => {
    running += 1;
    await opened;
  });
  const ids = await Promise.all([1, 2, 3, 4, 5].map(() => push()));
  await one.start();
  await until('two run', () => running === 2);

  const { counts } = await client.stats(queue);
  open();
  await Promise.all(ids.map((id) => ends(client, id, 'completed')));

  assert.deepEqual([counts.active, counts.waiting], [2, 3]);
});

test('a job that takes longer than its timeout is stopped', async () => {
  await using one = worker();
  const listener = new Listener();
  one.handle('job', listener.handle);
  const id = await push('job', null, { timeoutMs: 50, maxAttempts: 1 });
  await one.start();

  const job = await ends(client, id, 'dlq');
  await until('the handler heard', () => listener.reason !== null);

  assert.match(job.errors[0]?.kind ?? '', /timeout|error/);
  assert.match(String(listener.reason), /timeout|lease_lost/); // the server ends the lease at the same moment
});

test('the end of the grace gives running jobs back without burning an attempt', async () => {
  const one = worker();
  const listener = new Listener();
  one.handle('job', listener.handle);
  const id = await push();
  await one.start();
  await listener.entered.opened;

  assert.equal(await one.stop({ timeoutMs: 0 }), true);

  assert.equal(listener.reason, 'shutdown');
  const { state, attempt } = await client.getJob(id);
  assert.deepEqual([state, attempt], ['waiting', 0]);
});

test('a handler that does not listen is given back as well, and what it returns is dropped', async () => {
  const one = worker();
  const deaf = new Deaf();
  one.handle('job', deaf.handle);
  const id = await push();
  await one.start();
  await deaf.entered.opened;

  assert.equal(await one.stop({ timeoutMs: 0 }), false);
  deaf.letGo();
  await sleep(1);

  const { state, attempt } = await client.getJob(id);
  assert.deepEqual([state, attempt], ['waiting', 0]);
});

test('run ends with its signal, drains before, and a worker runs once', async () => {
  const one = worker();
  const stopping = new AbortController();
  const deaf = new Deaf();
  one.handle('job', deaf.handle);
  const id = await push();
  const listeners = process.listenerCount('SIGTERM');
  const running = one.run({ signal: stopping.signal });
  await deaf.entered.opened;
  const during = process.listenerCount('SIGTERM');

  stopping.abort();
  deaf.letGo();
  await running;

  assert.equal((await client.getJob(id)).state, 'completed');
  assert.deepEqual([during, process.listenerCount('SIGTERM')], [listeners + 1, listeners]);
  await assert.rejects(one.start(), /stopped; a worker runs once/);
  assert.throws(() => one.handle('late', () => {}), /before the worker starts/);
});

test('a signal that is aborted before the start ends run at once', async () => {
  await worker().run({ signal: AbortSignal.abort() });
});

test('a worker that never started stops at once', async () => {
  await using client = new Client({ url: 'http://127.0.0.1:1' });

  assert.equal(await new Worker(client, { queues: 'q' }).stop(), true);
});

test('held jobs run on while the server is killed and started anew, and are acked afterwards', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'jobwire-'));
  const own = await new WorkerServer(`sqlite:///${join(folder, 'jobs.db')}`).start();
  const log: string[] = [];
  const client = new Client({ url: own.url('tcp'), onLog: ({ message }) => log.push(message) });
  const worker = new Worker(client, { queues: 'q', concurrency: 3, leaseMs: 3000 });
  const { opened, open } = gate();
  const deliveries: number[] = [];
  worker.handle('job', async ({ delivery }) => {
    deliveries.push(delivery);
    await opened;
  });
  try {
    const jobs = await client.pushBatch('q', [{ name: 'job' }, { name: 'job' }, { name: 'job' }]);
    await worker.start();
    await until('three run', () => deliveries.length === 3);

    await own.stop('SIGKILL');
    open();
    await until('the loss is told', () => log.some((line) => line.startsWith('server lost')));
    await own.start();
    for (const { id } of jobs) await ends(client, id, 'completed');
    const late = await client.push('q', 'job');
    await ends(client, late.id, 'completed');

    assert.deepEqual(deliveries, [1, 1, 1, 1]);
    await until('the recovery is told', () => log.includes('server reached again'));
    assert.equal(log.filter((line) => line.startsWith('server lost')).length, 1);
  } finally {
    await worker.stop();
    await client.close();
    await own.stop();
    await rm(folder, { recursive: true });
  }
});
