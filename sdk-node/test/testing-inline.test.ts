/** workOne and inlineClient: handlers run where the test is. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, Discard, type Job, JobwireError, Release, RetryIn, Worker } from '../src/index.ts';
import { FakeServer, inlineClient, workOne } from '../src/testing/index.ts';

interface Bench extends AsyncDisposable {
  readonly fake: FakeServer;
  readonly client: Client;
}

async function bench(): Promise<Bench> {
  const fake = await FakeServer.start();
  const client = new Client({ url: fake.url });
  const dispose = async (): Promise<void> => {
    await client.close();
    await fake.close();
  };
  return { fake, client, [Symbol.asyncDispose]: dispose };
}

function throwing(error: unknown): () => never {
  return () => {
    throw error;
  };
}

test('workOne() - runs one job and tells the server', async () => {
  await using it = await bench();
  const first = await it.client.push('q', 'double', { n: 1 });
  const second = await it.client.push('q', 'double', { n: 2 });

  const outcome = await workOne(it.client, 'q', {
    double: (job: Job<{ n: number }>) => job.data.n * 2,
  });

  assert.deepEqual(
    [first.id, 'ack', 2, null, null],
    [outcome?.job.id, outcome?.kind, outcome?.result, outcome?.error, outcome?.exception],
  );
  assert.equal('completed', it.fake.job(first.id)?.state);
  assert.equal('waiting', it.fake.job(second.id)?.state);
});

test('workOne() - null without a job', async () => {
  await using it = await bench();
  assert.equal(null, await workOne(it.client, ['q'], {}));
});

const ENDINGS = [
  { error: new Error('broken'), kind: 'fail', state: 'delayed' },
  { error: new RetryIn({ ms: 60_000 }), kind: 'fail', state: 'delayed' },
  { error: new Discard('never'), kind: 'discard', state: 'dlq' },
  { error: new Release({ delayMs: 5000 }), kind: 'release', state: 'delayed' },
] as const;

for (const { error, kind, state } of ENDINGS) {
  test(`workOne() - a handler that throws ${error.name}`, async () => {
    await using it = await bench();
    const { id } = await it.client.push('q', 'job');

    const outcome = await workOne(it.client, 'q', { job: throwing(error) });

    assert.deepEqual([kind, error], [outcome?.kind, outcome?.exception]);
    assert.equal(state, it.fake.job(id)?.state);
  });
}

test('workOne() - a job without a handler fails', async () => {
  await using it = await bench();
  await it.client.push('q', 'job');

  const outcome = await workOne(it.client, 'q', {});

  assert.equal("no handler for 'job' on this worker; it has: none", outcome?.error);
});

test('workOne() - nothing is told about a job whose lease is lost', async () => {
  await using it = await bench();
  const { id } = await it.client.push('q', 'job');

  const outcome = await workOne(it.client, 'q', {
    job: async (_, { progress, check }) => {
      it.fake.advance(30_000);
      await progress(50);
      check();
    },
  });

  assert.deepEqual(['release', null], [outcome?.kind, outcome?.error]);
  assert.equal('waiting', it.fake.job(id)?.state);
});

test('workOne() - takes the handlers, the schemas and the wrapper of a worker', async () => {
  await using it = await bench();
  const seen: string[] = [];
  const worker = new Worker(it.client, {
    queues: ['q'],
    wrap: (next) => async (job, ctx) => {
      seen.push(job.name);
      await ctx.progress(50, 'half');
      return next(job, ctx);
    },
  });
  worker.handle('job', (job) => job.data, { data: (value) => `fit ${value}` });
  const { id } = await it.client.push('q', 'job', 'data');

  const outcome = await workOne(it.client, 'q', worker);

  assert.equal('fit data', outcome?.result);
  assert.deepEqual(['job'], seen);
  assert.equal(50, (await it.client.getJob(id)).progress);
});

test('inlineClient() - a push runs the handler before it resolves', async () => {
  const client = inlineClient({ double: (job: Job<{ n: number }>) => job.data.n * 2 });

  const { id } = await client.push('q', 'double', { n: 21 });

  assert.deepEqual(
    [['ack', 42]],
    client.outcomes.map(({ kind, result }) => [kind, result]),
  );
  const job = await client.getJob(id);
  assert.deepEqual(['completed', 42], [job.state, job.result]);
});

test('inlineClient() - a handler may push more jobs, which run first', async () => {
  const order: string[] = [];
  const client = inlineClient({
    parent: async (_, ctx) => {
      await ctx.client.push('q', 'child');
      order.push('parent');
    },
    child: () => void order.push('child'),
  });

  await client.push('q', 'parent');

  assert.deepEqual(['child', 'parent'], order);
});

test('inlineClient() - pushes at the same time have each run their job when they resolve', async () => {
  const order: string[] = [];
  const client = inlineClient({
    job: async (job: Job<number>) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      order.push(`ran ${job.data}`);
    },
  });

  await Promise.all(
    [1, 2, 3].map(async (n) => {
      await client.push('q', 'job', n);
      order.push(`pushed ${n}`);
    }),
  );

  for (const n of [1, 2, 3]) {
    assert.ok(order.indexOf(`ran ${n}`) < order.indexOf(`pushed ${n}`), order.join());
  }
});

test('inlineClient() - a handler that pushes the job that it has does not wait for itself', async () => {
  const client = inlineClient({
    job: async (_, ctx) => {
      const again = { uniqueKey: 'k', onConflict: 'ignore' } as const;
      return (await ctx.client.push('q', 'job', null, again)).outcome;
    },
  });

  await client.push('q', 'job', null, { uniqueKey: 'k' });

  assert.equal('existing', client.outcomes[0]?.result);
});

test('inlineClient() - delays and retries run when the clock moves', async () => {
  const attempts: number[] = [];
  const client = inlineClient({
    flaky: (_, ctx) => {
      attempts.push(ctx.attempt);
      if (ctx.attempt < 2) throw new Error('broken');
      return 'at last';
    },
  });
  const { id } = await client.push('q', 'flaky', null, { delayMs: 10_000 });

  assert.deepEqual([], attempts);
  await client.advance(10_000);
  assert.deepEqual([0], attempts);
  await client.advance(1000);
  await client.advance(2000);

  assert.deepEqual([0, 1, 2], attempts);
  assert.equal('at last', (await client.getJob(id)).result);
  assert.deepEqual(
    ['fail', 'fail', 'ack'],
    client.outcomes.map(({ kind }) => kind),
  );
});

test('inlineClient() - raiseErrors: the push rejects, and the job is settled', async () => {
  const broken = new Error('broken');
  const client = inlineClient({ bad: throwing(broken) }, { raiseErrors: true });

  await assert.rejects(client.push('q', 'bad'), broken);

  assert.equal(1, (await client.stats('q')).counts.delayed);
});

test('inlineClient() - jobs without a handler stay waiting', async () => {
  const client = inlineClient({});

  await client.push('q', 'job');

  assert.equal(1, (await client.stats('q')).counts.waiting);
  assert.deepEqual([], client.outcomes);
});

test('inlineClient() - refuses what a server refuses, and keeps payloads as they were', async () => {
  const client = inlineClient({});
  const { id } = await client.push('q', 'job', 2n ** 64n);

  assert.equal('18446744073709551616', (await client.getJob(id)).rawData);
  await assert.rejects(client.push('q', 'job', null, { id }), (error) => {
    assert.ok(error instanceof JobwireError);
    assert.deepEqual(['ID_CONFLICT', id], [error.code, error.details.id]);
    return true;
  });
  await client.close();
  await assert.rejects(client.stats('q'), { code: 'CLIENT_CLOSED' });
});

test('inlineClient() - a batch runs all its jobs; a frozen clock starts where it is told', async () => {
  const now = new Date('2026-01-02T03:04:05.678Z');
  const client = inlineClient({ job: (job) => job.data }, { now });

  await client.pushBatch('q', [
    { name: 'job', data: 1 },
    { name: 'job', data: 2 },
  ]);

  assert.deepEqual(
    [1, 2],
    client.outcomes.map(({ result }) => result),
  );
  assert.deepEqual(now, client.outcomes[0]?.job.createdAt);
});
