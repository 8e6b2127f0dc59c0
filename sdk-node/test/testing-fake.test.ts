/** FakeServer: its clock, its waits, its faults, and what it shows of what happened. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client, Worker } from '../src/index.ts';
import * as testing from '../src/testing/index.ts';

const { FakeServer } = testing;
const DOORS = ['http', 'tcp'] as const;

let fake: testing.FakeServer;
let clients: Client[] = [];

beforeEach(async () => {
  fake = await FakeServer.start();
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  clients = [];
  await fake.close();
});

/** Without retries, so that each error is the first answer. */
function dial(door: 'http' | 'tcp', timeoutMs = 10_000): Client {
  const url = door === 'http' ? fake.url : fake.tcpUrl;
  const client = new Client({ url, retries: 0, timeoutMs });
  clients.push(client);
  return client;
}

test('index.ts - the names of all values', () => {
  assert.deepEqual(['FakeServer', 'inlineClient', 'workOne'], Object.keys(testing).sort());
});

test('.advance() - delays, leases and ttl end on the clock that the test moves', async () => {
  const client = dial('http');
  const delayed = await client.push('q', 'job', null, { delayMs: 60_000 });
  const short = await client.push('q', 'job', null, { ttlMs: 30_000, delayMs: 40_000 });

  assert.deepEqual([], await client.pull('q'));
  const before = fake.now.getTime();
  fake.advance(60_000);
  const [job] = await client.pull('q', { count: 5 });

  assert.equal(60_000, fake.now.getTime() - before);
  assert.equal(delayed.id, job?.id);
  assert.equal('expired', fake.job(short.id)?.reason);
  fake.advance(29_999);
  assert.equal('active', fake.job(delayed.id)?.state);
  fake.advance(1);
  assert.equal('waiting', fake.job(delayed.id)?.state);
  await assert.rejects(client.ack(job ?? ''), { code: 'LEASE_LOST' });
});

test('.advance() - time goes forward only', () => {
  for (const ms of [-1, Number.NaN, Infinity]) assert.throws(() => fake.advance(ms), TypeError);
});

test('.restart() - every lease has its length again, and the ports stay', async () => {
  const client = dial('tcp');
  await client.push('q', 'job');
  const [job] = await client.pull('q', { leaseMs: 30_000 });
  const urls = [fake.url, fake.tcpUrl];
  fake.advance(20_000);

  await fake.restart();

  fake.advance(29_000);
  assert.equal('active', fake.job(job?.id ?? '')?.state);
  assert.deepEqual(urls, [fake.url, fake.tcpUrl]);
});

for (const door of DOORS) {
  test(`${door} - a held pull ends when its wait is over on the clock of the test`, async () => {
    const pulled = dial(door).pull('q', { waitMs: 60_000 });
    await fake.waitFor('pull');

    fake.advance(60_000);

    assert.deepEqual([], await pulled);
  });

  test(`${door} - a held heartbeat is answered by a cancel, which is told once`, async () => {
    const client = dial(door);
    const { id } = await client.push('q', 'job');
    const [job] = await client.pull('q', { workerId: 'w1' });
    const options = { worker: { id: 'w1' }, waitMs: 60_000 };
    const held = client.heartbeatBatch(job ? [job] : [], options);
    await fake.waitFor('heartbeat_batch');

    await client.cancel(id);

    assert.deepEqual([id], (await held).cancelled);
    const next = client.heartbeatBatch([], options);
    await fake.waitFor('heartbeat_batch', 2);
    fake.advance(60_000);
    assert.deepEqual([], (await next).cancelled);
  });

  test(`${door} - nothing is claimed for a connection that is gone`, async () => {
    const gone = dial(door);
    const pulled = assert.rejects(gone.pull('q', { waitMs: 60_000 }), { code: 'CLIENT_CLOSED' });
    await fake.waitFor('pull');
    await gone.close();
    await pulled;
    await fake.waitUntil(() => fake.connectionCount === 0);

    const { id } = await dial('http').push('q', 'job');

    assert.equal('waiting', fake.job(id)?.state);
  });

  test(`${door} - .dropNextAnswer() - the request was carried out`, async () => {
    const client = dial(door);
    fake.dropNextAnswer('push');

    await assert.rejects(client.push('q', 'job'), { code: 'CONNECTION_LOST' });

    assert.equal(1, (await client.stats('q')).counts.waiting);
  });

  test(`${door} - .swallowNext() - the request was not carried out`, async () => {
    const client = dial(door);
    await client.ping();
    fake.swallowNext('push');

    await assert.rejects(client.withOptions({ timeoutMs: 50 }).push('q', 'job'), {
      code: 'TIMEOUT',
    });

    assert.equal(0, (await client.stats('q')).counts.waiting);
  });

  test(`${door} - .refuseNext() - so often, and no more`, async () => {
    const client = dial(door);
    fake.refuseNext('push', 'OVERLOADED', { times: 2, message: 'busy' });

    for (let time = 0; time < 2; time += 1) {
      await assert.rejects(client.push('q', 'job'), { code: 'OVERLOADED', message: 'busy' });
    }
    assert.equal('created', (await client.push('q', 'job')).outcome);
  });

  test(`${door} - .stop() - connections are cut and refused until .start()`, async () => {
    const client = dial(door);
    await client.ping();

    await fake.stop();

    await assert.rejects(client.push('q', 'job'));
    await assert.rejects(client.push('q', 'job'), { code: 'CONNECTION_FAILED' });
    await fake.start();
    assert.equal('created', (await client.push('q', 'job')).outcome);
  });

  test(`${door} - .drain() - held pulls end, and new ones are refused`, async () => {
    const client = dial(door);
    const pulled = client.pull('q', { waitMs: 60_000 });
    await fake.waitFor('pull');

    fake.drain();

    assert.deepEqual([], await pulled);
    await assert.rejects(dial(door).pull('q'), { code: 'SHUTTING_DOWN' });
    assert.equal('draining', (await dial('http').health()).status);
  });

  test(`${door} - .makeDeaf() - the worker is told so until its next pull`, async () => {
    const client = dial(door);
    const beat = async (): Promise<boolean> =>
      (await client.heartbeatBatch([], { worker: { id: 'w1' } })).deaf;
    fake.makeDeaf('w1');

    assert.equal(true, await beat());
    await client.pull('q', { workerId: 'w1' });
    assert.equal(false, await beat());
  });

  test(`${door} - a worker does its jobs here`, async () => {
    const client = dial(door);
    await using worker = new Worker(client, { queues: ['q'], concurrency: 2 });
    worker.handle('double', (job: { data: { n: number } }) => job.data.n * 2);
    const ids = await client.pushBatch(
      'q',
      [1, 2, 3].map((n) => ({ name: 'double', data: { n } })),
    );

    await worker.start();

    for (const { id } of ids) await fake.waitForState(id, 'completed');
    assert.deepEqual(
      [2, 4, 6],
      ids.map(({ id }) => fake.job(id)?.result),
    );
  });
}

test('.calls - every request with its fields as they were sent, and its door', async () => {
  await dial('http').push('q', 'job', { n: 1.5 }, { id: '01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f' });
  await dial('tcp').stats('q');

  const doors = fake.calls.map(({ operation, door }) => `${operation} ${door}`);
  assert.deepEqual(['push http', 'stats tcp'], doors);
  const [push] = fake.callsOf('push');
  assert.deepEqual({ n: 1.5 }, push?.data);
  assert.equal('q', push?.queue);
});

test('.job() - undefined for one that is not there', async () => {
  const client = dial('http');
  const { id } = await client.push('q', 'job');
  assert.equal('waiting', fake.job(id)?.state);

  await client.deleteJob(id);

  assert.equal(undefined, fake.job(id));
  assert.equal(undefined, fake.job('nonsense'));
});

test('.waitFor() - waiting in vain says for what', async () => {
  const nothing = fake.waitFor('pull', 2, { timeoutMs: 10 });
  await assert.rejects(nothing, /waited 10 ms in vain for 2 x pull/);
});

test('seed and now - two servers with the same ones do the same', async () => {
  const now = new Date('2026-01-02T03:04:05.678Z');
  const runs: unknown[] = [];
  for (let run = 0; run < 2; run += 1) {
    await using server = await FakeServer.start({ now, seed: 7 });
    await using client = new Client({ url: server.url });
    await client.push('q', 'job', null, {
      id: '01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f',
      jitter: 1,
      backoffDelayMs: 1_000_000,
    });
    const [job] = await client.pull('q');
    runs.push(await client.fail(job ?? '', 'no'), server.now);
  }

  const [first, start, second] = runs;
  assert.deepEqual(now, start);
  assert.deepEqual(first, second);
});

test('.close() - idempotent, and ends what is held', async () => {
  const pulled = assert.rejects(dial('tcp').pull('q', { waitMs: 60_000 }));
  await fake.waitFor('pull');

  await fake.close();
  await fake.close();

  await pulled;
  assert.equal(0, fake.connectionCount);
});

test('.close() - the process ends by itself, also when its clients are just leaving', async (t) => {
  const script = fileURLToPath(new URL('serve-fake.js', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const urls: string[] = Object.values(JSON.parse(line));
  const others = urls.map((url) => new Client({ url, retries: 0 }));
  await Promise.all(others.map((client) => client.push('q', 'job')));

  await Promise.all(others.map((client) => client.close()));
  child.stdin.end();

  const signal = AbortSignal.timeout(20_000);
  assert.deepEqual([0, null], await once(child, 'exit', { signal }));
});
