/** Worker against a real server, over HTTP and TCP. Tests wait for what happens, never for time. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from '../src/client.ts';
import type { Job } from '../src/models.ts';
import type { JobOptions } from '../src/options.ts';
import { Worker } from '../src/worker.ts';
import type { WorkerOptions } from '../src/worker-options.ts';
import { Deaf, ends, Listener, until, WorkerServer } from './worker-server.ts';

const server = new WorkerServer();
let queues = 0;

before(() => server.start());
after(() => server.stop());

for (const scheme of ['http', 'tcp'] as const) {
  describe(`over ${scheme}`, () => {
    let client: Client;
    let queue = '';

    before(() => {
      client = new Client({ url: server.url(scheme) });
    });
    after(() => client.close());

    function worker(options: Partial<WorkerOptions> = {}): Worker {
      queues += 1;
      queue = `q${queues}`;
      return new Worker(client, { queues: queue, ...options });
    }

    async function push(
      name = 'job',
      data: unknown = null,
      options: JobOptions = {},
    ): Promise<string> {
      return (await client.push(queue, name, data, options)).id;
    }

    // --- running jobs ------------------------------------------------------------------------------------------------

    test('a handler runs and its value is the result', async () => {
      await using one = worker();
      one.handle('job', ({ data }: Job<{ n: number }>) => ({ doubled: data.n * 2 }));
      await one.start();

      const ids = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((n) => push('job', { n })));
      const jobs = await Promise.all(ids.map((id) => ends(client, id, 'completed')));

      assert.deepEqual(
        jobs.map((job) => job.result),
        [2, 4, 6, 8, 10, 12, 14, 16, 18, 20].map((doubled) => ({ doubled })),
      );
    });

    // --- fetching ----------------------------------------------------------------------------------------------------

    test('a lost answer to a pull is asked for again and brings the same jobs', async () => {
      await using one = worker({ concurrency: 1 });
      const deliveries: number[] = [];
      one.handle('job', ({ delivery }) => void deliveries.push(delivery));
      const id = await push();
      await server.fault('pull', 'close_after_commit');
      await one.start();

      assert.equal((await ends(client, id, 'completed')).delivery, 1);
      assert.deepEqual(deliveries, [1]);
    });

    // --- settling ----------------------------------------------------------------------------------------------------

    for (const [action, more] of [
      ['close_after_commit', {}],
      ['error', { code: 'STORAGE_UNAVAILABLE', times: 2 }],
    ] as const) {
      test(`an ack that meets ${action} is sent again`, async () => {
        await using one = worker();
        one.handle('job', () => 1);
        const id = await push();
        await server.fault('ack_batch', action, more);
        await one.start();

        assert.equal((await ends(client, id, 'completed')).delivery, 1);
      });
    }

    // --- the one signal ----------------------------------------------------------------------------------------------

    test('a cancel aborts the signal, and the job ends cancelled', async () => {
      await using one = worker(); // a heartbeat every 10 s: this does not wait for the next one
      const listener = new Listener();
      one.handle('job', listener.handle);
      const id = await push();
      await one.start();
      await listener.entered.opened;

      const began = performance.now();
      await client.cancel(id);
      await ends(client, id, 'cancelled');

      assert.equal(listener.reason, 'cancel');
      assert.ok(performance.now() - began < 5000);
    });

    test('a lost lease aborts the signal, and nothing is sent for it', async () => {
      await using one = worker({ concurrency: 2 });
      const listener = new Listener();
      const results: string[] = [];
      one.handle('job', async (job, ctx) => {
        if (job.delivery === 1) await listener.handle(job, ctx);
        results.push(`delivery ${job.delivery}`);
      });
      const id = await push('job', null, { backoffDelayMs: 1 });
      await one.start();
      await listener.entered.opened;
      await server.advance(31_000);
      await until('the handler heard', () => listener.reason !== null);

      const job = await ends(client, id, 'completed');

      assert.equal(listener.reason, 'lease_lost');
      assert.deepEqual(results, ['delivery 2']);
      assert.deepEqual(
        job.errors.map((error) => error.kind),
        ['lease_expired'],
      );
    });

    // --- stopping ----------------------------------------------------------------------------------------------------

    test('stopping waits for running jobs, takes no new ones, and tells the server', async () => {
      const one = worker({ concurrency: 2 });
      const deaf = new Deaf();
      one.handle('job', deaf.handle);
      const id = await push();
      await one.start();
      await deaf.entered.opened;

      const stopping = one.stop();
      await until('the server knows', async () => {
        const info = (await client.listWorkers()).find((each) => each.id === one.workerId);
        return info?.state === 'quiet';
      });
      const late = await push();
      deaf.letGo();

      assert.equal(await stopping, true);
      assert.equal((await client.getJob(id)).state, 'completed');
      assert.equal((await client.getJob(late)).state, 'waiting');
    });

    test('the jobs of a pull whose answer was lost before the drain are given back', async () => {
      const one = worker({ onError: () => {} });
      let started = 0;
      one.handle('job', () => {
        started += 1;
      });
      const id = await push();
      await server.fault('pull', 'close_after_commit');
      await server.fault('pull', 'error', { code: 'OVERLOADED', ms: 60_000 }); // no repeat before the drain
      await one.start();
      await ends(client, id, 'active');
      await until('the worker waits', () => server.isFaultless());

      await one.stop();

      const { state, attempt, delivery } = await client.getJob(id);
      assert.deepEqual([state, attempt, delivery, started], ['waiting', 0, 1, 0]);
    });
  });
}
