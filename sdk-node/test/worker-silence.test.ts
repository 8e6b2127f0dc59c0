/** A worker whose connections go silent one by one, while its heartbeats are answered (JW-SDK-13). */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { Client } from '../src/client.ts';
import { INTERNALS } from '../src/client-core.ts';
import { FakeServer } from '../src/testing/index.ts';
import { Worker } from '../src/worker.ts';
import { heartTimes } from '../src/worker-heart.ts';
import { checkOptions, longestWaitMs, silenceMsOf } from '../src/worker-options.ts';
import { httpAnswer, httpRequest, listen, type Served } from './peers.ts';

// --- the times -----------------------------------------------------------------------------------------------------

test('a server may be silent for an interval of the heartbeats, or a second', () => {
  assert.deepEqual(
    [300, 1000, 10_000].map((heartbeatMs) => silenceMsOf({ heartbeatMs })),
    [1000, 1000, 10_000],
  );
});

test('over HTTP a pull waits for half of that at most, over TCP as long as it should', () => {
  const settings = (heartbeatMs: number, waitMs: number) =>
    checkOptions({ queues: 'q', heartbeatMs, waitMs }, () => 'w');

  assert.equal(longestWaitMs(settings(10_000, 20_000), true), 20_000);
  assert.equal(longestWaitMs(settings(10_000, 20_000), false), 5000);
  assert.equal(longestWaitMs(settings(300, 20_000), false), 500);
  assert.equal(longestWaitMs(settings(10_000, 200), false), 200);
});

test('a connection is made within that time, also that of the heart, or within the client’s own', async (t) => {
  assert.deepEqual(heartTimes({ heartbeatMs: 300 }), { timeoutMs: 250, connectTimeoutMs: 1000 });
  assert.deepEqual(heartTimes({ heartbeatMs: 9000 }), { timeoutMs: 4500, connectTimeoutMs: 9000 });
  const mute = await listen(t, () => {});
  for (const [ofClient, ofWorker] of [
    [60_000, 50],
    [50, 60_000],
  ] as const) {
    const url = `tcp://127.0.0.1:${mute.port}`;
    await using client = new Client({ url, connectTimeoutMs: ofClient });
    const times = { timeoutMs: 20_000, connectTimeoutMs: ofWorker };
    await using own = client[INTERNALS].sibling((settings) => new Client(settings), times);
    const began = performance.now();
    await assert.rejects(own.ping(), { code: 'CONNECTION_FAILED' });
    assert.ok(performance.now() - began < 5000);
  }
});

// --- HTTP ----------------------------------------------------------------------------------------------------------

/** A client that gives connections to *served* up after *silenceMs*. */
function silenced({ port }: Served, silenceMs: number): Client {
  const client = new Client({ url: `http://127.0.0.1:${port}` });
  const times = { timeoutMs: 20_000, connectTimeoutMs: 5000, silenceMs };
  return client[INTERNALS].sibling((settings) => new Client(settings), times);
}

test('over HTTP a request has that time in all, and its connection is closed', async (t) => {
  const served = await listen(t, async (socket, index) => {
    await httpRequest(socket);
    if (index > 0) socket.write(httpAnswer({ ok: true }));
  });
  await using client = silenced(served, 150);
  const began = performance.now();

  const pulled = client.pull('q', { waitMs: 60_000 });
  await assert.rejects(pulled, { code: 'TIMEOUT', message: /within 150 ms$/ });

  const lasted = performance.now() - began;
  assert.ok(lasted >= 149 && lasted < 750, `given up after ${lasted} ms`);
  await client.ping();
  assert.equal(served.count(), 2);
});

test('over HTTP what came while the event loop was blocked is heard first', async (t) => {
  const served = await listen(t, async (socket) => {
    await httpRequest(socket);
    socket.write(httpAnswer({ ok: true, jobs: [] }));
    for (const end = performance.now() + 200; performance.now() < end; ); // and nothing is read meanwhile
  });
  await using client = silenced(served, 100);

  assert.deepEqual(await client.pull('q', { waitMs: 50 }), []);
});

// --- a worker ------------------------------------------------------------------------------------------------------

/** A way to *url* on which the first connection that says *word* goes silent, both ways, and stays open. */
async function wayTo(t: TestContext, url: string, word: string) {
  const said: string[] = [];
  let isOver = false;
  const served = await listen(t, (socket, index) => {
    const onward = connect(Number(new URL(url).port), '127.0.0.1');
    let isSilent = false;
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
      said[index] = text;
      if (!isOver && text.includes(word)) {
        isOver = true;
        isSilent = true;
      }
      if (!isSilent) onward.write(chunk);
    });
    onward.on('data', (chunk) => {
      if (!isSilent) socket.write(chunk);
    });
    onward.on('error', () => {});
    onward.on('close', () => socket.destroy());
    socket.on('close', () => onward.destroy());
  });
  return { port: served.port, said };
}

/** What was said about it on each connection that spoke of *word*. */
function about(said: readonly string[], word: string, what: RegExp): (string | undefined)[] {
  return said.filter((text) => text.includes(word)).map((text) => what.exec(text)?.[1]);
}

const WORDS = {
  tcp: { pull: '"cmd":"pull"', ack: '"cmd":"ack_batch"' },
  http: { pull: 'POST /api/v1/pull ', ack: 'POST /api/v1/jobs/ack ' },
};

describe('a worker whose heartbeats are answered', { concurrency: true }, () => {
  for (const scheme of ['tcp', 'http'] as const) {
    for (const [silent, name] of [
      ['pull', /"request_id":"([^"]+)"/],
      ['ack', /"lease":"([^"]+)"/],
    ] as const) {
      test(`makes a silent connection's ${silent} again over a new one, over ${scheme}`, async (t) => {
        await using fake = await FakeServer.start();
        const word = WORDS[scheme][silent];
        const way = await wayTo(t, scheme === 'tcp' ? fake.tcpUrl : fake.url, word);
        const lost: unknown[] = [];
        await using client = new Client({
          url: `${scheme}://127.0.0.1:${way.port}`,
          onLog: ({ level, fields }) => level === 'warn' && lost.push(fields.loop),
        });
        await using worker = new Worker(client, { queues: 'q', concurrency: 1, heartbeatMs: 300 });
        const deliveries: number[] = [];
        worker.handle('job', ({ delivery }) => void deliveries.push(delivery));
        const { id } = await client.push('q', 'job');
        const began = performance.now();
        await worker.start();

        await fake.waitForState(id, 'completed');

        const lasted = performance.now() - began;
        const [first, second] = about(way.said, word, name);
        assert.ok(lasted >= 1000 && lasted < 5000, `it took ${lasted} ms`);
        assert.ok(first !== undefined && first === second, `${first}, then ${second}`);
        assert.deepEqual(deliveries, [1]);
        assert.deepEqual(lost, [silent === 'pull' ? 'fetch' : 'settle']);
        const [waitMs] = about(way.said, WORDS[scheme].pull, /"wait_ms":(\d+)/);
        assert.equal(waitMs, scheme === 'http' ? '500' : '20000');
      });
    }
  }
});
