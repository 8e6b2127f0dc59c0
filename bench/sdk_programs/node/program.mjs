/**
 * The load of bench/sdks.py with the Node SDK: `program.mjs URL`.
 *
 * A line on stdin is a cell, {"load", "queue", "jobs", "batch", "concurrency", "data"}; a line on stdout says what it took, {"seconds", "cpu_s"}.
 */

import { createInterface } from 'node:readline';

await import('../../../conformance/drivers/node/build.mjs'); // so that the SDK is that of the sources
const { Client, Worker } = await import('../../../sdk-node/dist/index.js');

const NAME = 'bench';

const LOADS = {
  async push(client, { queue, jobs, data }) {
    for (let at = 0; at < jobs; at += 1) await client.push(queue, NAME, data);
  },
  async push_batch(client, { queue, jobs, batch, data }) {
    for (let at = 0; at < jobs; at += batch) {
      await client.pushBatch(
        queue,
        Array.from({ length: batch }, () => ({ name: NAME, data })),
      );
    }
  },
  async push_at_once(client, cell) {
    const share = { ...cell, jobs: Math.floor(cell.jobs / cell.concurrency) };
    await Promise.all(Array.from({ length: cell.concurrency }, () => LOADS.push(client, share)));
  },
  async work(client, { queue, jobs, concurrency }) {
    const worker = new Worker(client, { queues: [queue], concurrency });
    let left = jobs;
    const allDone = new Promise((resolve) => {
      worker.handle(NAME, async () => {
        left -= 1;
        if (left <= 0) resolve();
      });
    });
    await worker.start();
    await allDone;
    await worker.stop();
  },
};

const client = new Client({ url: process.argv[2] });
for await (const line of createInterface({ input: process.stdin })) {
  const cell = JSON.parse(line);
  const cpu = process.cpuUsage();
  const began = performance.now();
  await LOADS[cell.load](client, cell);
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  process.stdout.write(`${JSON.stringify({ seconds, cpu_s: (user + system) / 1e6 })}\n`);
}
await client.close();
