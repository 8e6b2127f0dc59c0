/** A program with a worker, for tests that send it signals: `worker-program.js URL QUEUE GRACE_MS`. */

import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../src/client.ts';
import { Worker } from '../src/worker.ts';

const [url = '', queues = '', graceMs] = process.argv.slice(2);
const client = new Client({ url });
const worker = new Worker(client, { queues, graceMs: Number(graceMs) });

worker.handle('polite', async (_job, { signal }) => {
  console.log('running');
  await sleep(60_000, undefined, { signal });
});

worker.handle('quick', async () => {
  console.log('running');
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) return line;
  return null;
});

worker.handle('blocking', () => {
  console.log('running');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
});

await worker.run();
await client.close();
console.log('drained');
