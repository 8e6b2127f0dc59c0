/** TCP over real sockets, against peers that do as they are told. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../src/client.ts';
import { INTERNALS } from '../src/client-core.ts';
import { listen, listenTcp, Peer } from './peers.ts';

function connect(port: number, options = {}): Client {
  return new Client({ url: `tcp://127.0.0.1:${port}`, ...options });
}

test('calls side by side share one connection, and each gets its own answer, in any order', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    const requests = [];
    for (let count = 0; count < 500; count += 1) requests.push(await peer.next());
    for (const request of requests.reverse()) peer.answer(request, { id: request?.id });
  });
  await using client = connect(served.port);

  const ids = Array.from({ length: 500 }, (_, index) => `id-${index}`);
  const pushed = await Promise.all(ids.map((id) => client.push('q', 'n', null, { id })));

  assert.deepEqual(
    ids,
    pushed.map(({ id }) => id),
  );
  assert.equal(1, served.count());
});

test('a connection that ended is made anew, again and again', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    peer.answer(await peer.next());
    peer.socket.end();
  });
  await using client = connect(served.port, { retries: 20, retryBudgetMs: 20_000 });

  for (let count = 0; count < 10; count += 1) await client.ping();

  assert.ok(served.count() >= 10);
});

test('a server that is away is found again when it is back', async (t) => {
  const first = await listenTcp(t, async (peer) => {
    await peer.greet();
    peer.answer(await peer.next());
  });
  await using client = connect(first.port);
  await client.ping();
  const { port } = first;
  const gone = first.stop();
  await assert.rejects(client.withOptions({ timeoutMs: 50, retries: 0 }).ping(), {
    code: 'TIMEOUT',
  });
  await gone;
  await assert.rejects(client.withOptions({ retries: 0 }).ping(), { code: 'CONNECTION_FAILED' });

  const back = client.ping();
  await listen(
    t,
    (socket) => {
      socket.on('data', (chunk) => {
        for (const line of String(chunk).trim().split('\n')) {
          socket.write(`${JSON.stringify({ ok: true, v: 2, rid: JSON.parse(line).rid })}\n`);
        }
      });
    },
    port,
  );
  await back;
});

test('a call that was aborted frees its caller at once, is called off, and gives back what comes', async (t) => {
  const seen: (string | undefined)[] = [];
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    const pull = await peer.next();
    arrived();
    for (let request = await peer.next(); request; request = await peer.next()) {
      seen.push([request.cmd, request.target, request.id].join(' '));
      if (request.cmd === 'abort') peer.answer(pull, { job: { id: 'a', lease: '1-a' } });
      if (request.cmd === 'ping') peer.answer(request);
      if (request.cmd === 'release') released();
    }
  });
  let arrived = (): void => {};
  let released = (): void => {};
  const hasArrived = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const isReleased = new Promise<void>((resolve) => {
    released = resolve;
  });
  await using client = connect(served.port);
  const controller = new AbortController();
  const call = client.pull('q', { waitMs: 60_000, signal: controller.signal });
  await hasArrived;

  controller.abort(new Error('enough'));

  await assert.rejects(call, /enough/);
  await isReleased;
  await client.ping();
  assert.deepEqual(['abort 2 ', 'release  a', 'ping  '], seen);
  assert.equal(1, served.count());
});

test('an interrupted wait is answered as though its time were up', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    const pull = await peer.next();
    client[INTERNALS].interruptWaits();
    const abort = await peer.next();
    assert.deepEqual(['abort', pull?.rid], [abort?.cmd, abort?.target]);
    peer.answer(pull, { job: null });
    peer.answer(abort, { aborted: true });
  });
  const client = connect(served.port);
  t.after(() => client.close());
  assert.deepEqual([], await client.pull('q', { waitMs: 60_000 }));
});

test('an idle connection is left for a new one, and one with a call in flight is not', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    for (let request = await peer.next(); request; request = await peer.next()) {
      if (request.cmd === 'pull') client[INTERNALS].closeIdle();
      peer.answer(request, { job: null });
    }
  });
  const client = connect(served.port);
  t.after(() => client.close());
  await client.ping();

  client[INTERNALS].closeIdle();

  assert.deepEqual([], await client.pull('q', { waitMs: 60_000 }));
  await client.ping();
  assert.equal(2, served.count());
});

test('notices reach their subscribers; one that throws harms no call', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    for (let request = await peer.next(); request; request = await peer.next()) {
      peer.send({ notice: 'job.cancel', id: 'a' });
      peer.answer(request);
    }
  });
  const levels: string[] = [];
  await using client = connect(served.port, {
    onLog: ({ level }: { level: string }) => levels.push(level),
  });
  const heard: unknown[] = [];
  const end = client[INTERNALS].subscribe((name, fields) => heard.push([name, fields.id]));
  await client.ping();
  end();
  client[INTERNALS].subscribe(() => {
    throw new Error('in the callback');
  });
  await client.ping();
  assert.deepEqual([['job.cancel', 'a']], heard);
  assert.deepEqual(['error'], levels);
});

test('.close() - calls in flight and later ones reject, nothing stays open, twice is once', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    await peer.next();
    void client.close();
    assert.equal(undefined, await peer.next());
  });
  const client = connect(served.port);
  await assert.rejects(client.ping(), { code: 'CLIENT_CLOSED' });
  await client.close();
  await assert.rejects(client.ping(), { code: 'CLIENT_CLOSED' });
});

test('callers that arrive while a connection is made wait for the same, and each can leave', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    const hello = await peer.next();
    controller.abort(new Error('left'));
    peer.send({ ok: true, v: 2, rid: hello?.rid });
    peer.answer(await peer.next());
  });
  const controller = new AbortController();
  await using client = connect(served.port);
  const leaves = client.ping({ signal: controller.signal });
  const stays = client.ping();
  await assert.rejects(leaves, /left/);
  await stays;
  assert.equal(1, served.count());
});

test('a peer that is silent in the handshake is left soon after the call that met it', async (t) => {
  const served = await listenTcp(t, async (peer, index) => {
    if (index === 0) return; // it has accepted, and says nothing
    await peer.greet();
    peer.answer(await peer.next());
  });
  await using client = connect(served.port, { connectTimeoutMs: 60_000, retries: 0 });
  const began = performance.now();
  const first = client.withOptions({ timeoutMs: 1100 }).ping();
  await assert.rejects(first, { code: 'CONNECTION_FAILED' });
  await client.ping();
  assert.ok(performance.now() - began < 5000);
  assert.equal(2, served.count());
});

test('an attempt to connect outlives a call that has little time: others may share it', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await late;
    await peer.greet();
    peer.answer(await peer.next());
  });
  let open = (): void => {};
  const late = new Promise<void>((resolve) => {
    open = resolve;
  });
  await using client = connect(served.port, { retries: 0 });
  const hasty = client.withOptions({ timeoutMs: 50 }).ping();
  await assert.rejects(hasty, { code: 'CONNECTION_FAILED' });
  const patient = client.ping();
  open();
  await patient;
  assert.equal(1, served.count());
});

test('errors of one connection are an error each, with a stack of its own', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    await peer.next();
    await peer.next();
    peer.socket.destroy();
  });
  await using client = connect(served.port, { retries: 0 });
  const results = await Promise.allSettled([client.ping(), client.ping()]);
  const [one, two] = results.map((each) => (each.status === 'rejected' ? each.reason : null));
  assert.deepEqual(['CONNECTION_LOST', 'CONNECTION_LOST'], [one.code, two.code]);
  assert.notEqual(one, two);
});

test('a peer that is no Jobwire server is a ProtocolError', async (t) => {
  const served = await listen(t, (socket) => void socket.write('220 mail ready\r\n'));
  await using client = connect(served.port);
  await assert.rejects(client.ping(), { code: 'PROTOCOL_ERROR', retryable: false });
});

test('what must not be repeated is not risked on a connection that has ended unheard', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    peer.answer(await peer.next(), { state: 'waiting' });
    peer.socket.end();
  });
  await using client = connect(served.port);
  for (let count = 0; count < 20; count += 1) {
    await client.retry('a');
    for (const end = performance.now() + 5; performance.now() < end; ); // the event loop hears nothing meanwhile
  }
  assert.equal(20, served.count());
});

test('many callers wait for a peer that reads nothing, and are freed when it reads', async (t) => {
  const warnings: Error[] = [];
  const warn = (warning: Error): number => warnings.push(warning);
  process.on('warning', warn);
  t.after(() => process.off('warning', warn));
  const served = await listen(t, async (socket) => {
    const peer = new Peer(socket);
    await peer.greet();
    socket.pause();
    setTimeout(() => socket.resume(), 50);
    for (let request = await peer.next(); request; request = await peer.next()) {
      peer.answer(request, { id: request.id });
    }
  });
  await using client = connect(served.port);
  await client.ping();
  const data = 'x'.repeat(500_000);
  const ids = Array.from({ length: 60 }, (_, index) => `id-${index}`);

  const { signal } = new AbortController(); // shared by more calls than Node.js finds normal
  const pushed = await Promise.all(ids.map((id) => client.push('q', 'n', data, { id, signal })));

  assert.deepEqual(
    ids,
    pushed.map(({ id }) => id),
  );
  assert.deepEqual([], warnings);
});
