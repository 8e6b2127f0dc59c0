/** The heart in a thread of its own: user code cannot starve it, and it outlives neither its worker nor its own death. */

import assert from 'node:assert/strict';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { Worker as Thread } from 'node:worker_threads';
import { Client } from '../src/client.ts';
import type { LogEntry } from '../src/log.ts';
import { Worker } from '../src/worker.ts';
import { ends, until, WorkerServer } from './worker-server.ts';

// Another thread that lets two heartbeats pass and moves the server's clock on by 10 s, six times, while the main thread
// sleeps; twice the lease in all.
const HELPER = `
  const { workerData: { url, control, id, flag } } = require('node:worker_threads');
  const post = (path, body) => fetch(control + '/_test/clock/' + path, { method: 'POST', body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json' } });
  const beat = async () => (await (await fetch(url + '/api/v1/jobs/' + id)).json()).job.last_heartbeat;
  const next = async (last) => { for (;;) { const now = await beat(); if (now !== last) return now; await new Promise((r) => setTimeout(r, 5)); } };
  (async () => {
    for (let last = await beat(), n = 0; n < 6; n += 1) {
      last = await next(await next(last));
      await post('freeze', {});
      await post('advance', { ms: 10000 });
      await post('release', {});
    }
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
  })();
`;

describe('with a server', () => {
  const server = new WorkerServer();
  const log: LogEntry[] = [];
  const threads: Thread[] = [];
  const builtin = createRequire(import.meta.url)('node:worker_threads') as { Worker: unknown };
  let canStart = true;
  let client: Client;

  before(async () => {
    await server.start();
    client = new Client({ url: server.url('tcp'), onLog: (entry) => log.push(entry) });
    // Every thread that the worker starts is known to the test; or none starts.
    builtin.Worker = class extends Thread {
      constructor(...args: ConstructorParameters<typeof Thread>) {
        if (!canStart) throw new Error('no threads today');
        super(...args);
        threads.push(this);
      }
    };
    syncBuiltinESMExports();
  });
  after(async () => {
    builtin.Worker = Thread;
    syncBuiltinESMExports();
    await client.close();
    await server.stop();
  });

  function lines(): string[] {
    return log.map(({ message }) => message);
  }

  test('a blocked event loop keeps its leases, and is told once with its length and place', async () => {
    log.length = 0;
    await using worker = new Worker(client, {
      queues: 'blocked',
      heartbeatMs: 50,
      blockWarningMs: 100,
    });
    worker.handle('job', function stuckInTheHandler(job) {
      const flag = new Int32Array(new SharedArrayBuffer(4));
      const data = { url: server.url('http'), control: server.controlUrl, id: job.id, flag };
      const helper = new Thread(HELPER, { eval: true, workerData: data });
      helper.unref();
      Atomics.wait(flag, 0, 0, 30_000);
      return job.delivery;
    });
    await worker.start();

    const { id } = await client.push('blocked', 'job');
    const job = await ends(client, id, 'completed');

    assert.equal(job.result, 1);
    // On a busy machine there may be more, of nobody's making.
    const mine = (): LogEntry[] =>
      log.filter(({ message }) => message.includes('stuckInTheHandler'));
    await until('the block is told', () => mine().length > 0);
    const [told, ...others] = mine();
    assert.deepEqual(others, []);
    assert.match(told?.message ?? '', /^event loop blocked for \d+ ms; it was here:\n/);
    assert.ok(Number(told?.fields.blockedMs) >= 100);
  });

  test('a heart whose thread dies is told and beats again in a new one', async () => {
    log.length = 0;
    threads.length = 0;
    const errors: unknown[] = [];
    await using worker = new Worker(client, {
      queues: 'died',
      heartbeatMs: 20,
      onError: (error) => errors.push(error),
    });
    await worker.start();

    await threads[0]?.terminate();
    await until('it is started again', () => threads.length === 2);
    const before = (await client.listWorkers()).find(
      ({ id }) => id === worker.workerId,
    )?.lastSeenAt;
    await until('it beats', async () => {
      const info = (await client.listWorkers()).find(({ id }) => id === worker.workerId);
      return (info?.lastSeenAt?.getTime() ?? 0) > (before?.getTime() ?? 0);
    });

    assert.equal(errors.length, 1);
    assert.ok(lines().includes('a loop of the worker died and is started again: heart'));
  });

  test('where no thread starts the heart beats in the event loop, and a block is told afterwards', async () => {
    log.length = 0;
    canStart = false;
    try {
      await using worker = new Worker(client, {
        queues: 'loop',
        heartbeatMs: 50,
        blockWarningMs: 20,
      });
      worker.handle('job', async ({ id, lastHeartbeat }) => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
        let last = lastHeartbeat?.getTime();
        await until('the lease is renewed', async () => {
          last = (await client.getJob(id)).lastHeartbeat?.getTime();
          return last !== lastHeartbeat?.getTime();
        });
      });
      await worker.start();
      await ends(client, (await client.push('loop', 'job')).id, 'completed');

      assert.ok(lines().includes('heartbeats have no thread of their own'));
      assert.ok(lines().some((line) => /^event loop blocked for \d+ ms$/.test(line)));
    } finally {
      canStart = true;
    }
  });

  test('no thread is left when a worker has stopped', async () => {
    threads.length = 0;
    const worker = new Worker(client, { queues: 'left' });
    await worker.start();
    const [thread] = threads;
    let hasEnded = false;
    thread?.once('exit', () => {
      hasEnded = true;
    });

    await worker.stop();

    assert.equal(hasEnded, true);
  });
});
