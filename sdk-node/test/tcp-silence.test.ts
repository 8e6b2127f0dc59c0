/** Silence on a connection: the decision on made-up instants, then over real sockets. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveEndpoint } from '../src/endpoint.ts';
import { pull } from '../src/operations.ts';
import { ping } from '../src/operations-read.ts';
import type { Reply, Request } from '../src/request.ts';
import { Silence } from '../src/tcp-silence.ts';
import { TcpTransport } from '../src/tcp-transport.ts';
import { listenTcp, type Peer, type Served } from './peers.ts';

// --- the decision --------------------------------------------------------------------------------------------------

const ASKABLE = { canPing: true };

test('a quiet server is asked after half of the limit, once, and given up after the whole', () => {
  const silence = new Silence(1000);
  silence.begin(5000);

  assert.deepEqual(
    [5000, 5499, 5500, 5501, 5999, 6000].map((now) => silence.look(now, ASKABLE)),
    [
      { verdict: 'wait', waitMs: 500 },
      { verdict: 'wait', waitMs: 1 },
      { verdict: 'ping', waitMs: 500 },
      { verdict: 'wait', waitMs: 499 },
      { verdict: 'wait', waitMs: 1 },
      { verdict: 'give up', waitMs: 0 },
    ],
  );
});

test('whatever is heard begins a new span, with a ping of its own', () => {
  const silence = new Silence(1000);
  silence.begin(0);

  assert.equal(silence.look(500, ASKABLE).verdict, 'ping');
  silence.begin(900);
  assert.deepEqual(silence.look(1000, ASKABLE), { verdict: 'wait', waitMs: 400 });
  assert.equal(silence.look(1400, ASKABLE).verdict, 'ping');
  assert.equal(silence.look(1900, ASKABLE).verdict, 'give up');
});

test('a server that cannot be asked has the whole limit', () => {
  const silence = new Silence(1000);
  silence.begin(0);

  assert.deepEqual(
    [500, 999, 1000].map((now) => silence.look(now, { canPing: false })),
    [
      { verdict: 'wait', waitMs: 500 },
      { verdict: 'wait', waitMs: 1 },
      { verdict: 'give up', waitMs: 0 },
    ],
  );
});

test('a look that comes too late asks before it gives up', () => {
  const silence = new Silence(1000);
  silence.begin(0);

  assert.deepEqual(silence.look(60_000, ASKABLE), { verdict: 'ping', waitMs: 500 });
  assert.deepEqual(silence.look(60_499, ASKABLE), { verdict: 'wait', waitMs: 1 });
  assert.equal(silence.look(60_500, ASKABLE).verdict, 'give up');
});

// --- over sockets --------------------------------------------------------------------------------------------------

const OLD = { ok: false, error: { code: 'UNKNOWN_COMMAND', message: 'Unknown command: hello' } };

/** What a transport that gives *served* up after *silenceMs* gets for requests. */
function asking(
  { port }: Served,
  silenceMs: number,
): AsyncDisposable & { send: (request: Request, signal?: AbortSignal) => Promise<Reply> } {
  const endpoint = resolveEndpoint({ url: `tcp://127.0.0.1:${port}` });
  const transport = new TcpTransport(endpoint, () => {}, silenceMs);
  return {
    send: (request, signal) => transport.send(request, { timeoutMs: 20_000, signal }),
    [Symbol.asyncDispose]: () => transport.close(),
  };
}

function waitingPull(): Request {
  return pull('q', { waitMs: 10_000, requestId: 'r' });
}

/** Have *commands* hold what comes until the client leaves. */
async function keepAll(commands: unknown[], peer: Peer, onEach = () => {}): Promise<void> {
  for (let request = await peer.next(); request; request = await peer.next()) {
    commands.push(request.cmd);
    onEach();
  }
}

test('a server that has gone silent is asked once, then given up, and the next call connects anew', async (t) => {
  let pingedAt = 0;
  const commands: unknown[] = [];
  const served = await listenTcp(t, async (peer, index) => {
    await peer.greet();
    await peer.next();
    if (index > 0) return peer.answer({ rid: 2 });
    await keepAll(commands, peer, () => {
      pingedAt ||= performance.now();
    });
  });
  await using client = asking(served, 200);
  const began = performance.now();

  await assert.rejects(client.send(waitingPull()), {
    code: 'CONNECTION_LOST',
    message: /nothing was heard for 0\.2 s$/,
  });
  const lasted = performance.now() - began;
  await client.send(ping());

  assert.ok(lasted >= 200 && lasted < 1000, `given up after ${lasted} ms`);
  assert.deepEqual(commands, ['ping']);
  assert.ok(pingedAt - began >= 100, `asked after ${pingedAt - began} ms`);
  assert.equal(served.count(), 2);
});

test('a server that answers pings is kept, however long a request waits', async (t) => {
  let pings = 0;
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    const waiting = await peer.next();
    const end = performance.now() + 900;
    while (performance.now() < end) {
      const request = await peer.next();
      assert.equal(request?.cmd, 'ping');
      pings += 1;
      peer.answer(request);
    }
    peer.answer(waiting, { jobs: [] });
  });
  await using client = asking(served, 300);

  assert.deepEqual((await client.send(waitingPull())).body.jobs, []);

  assert.ok(pings >= 3, `${pings} pings`);
  assert.equal(served.count(), 1);
});

test('a silent server of version 1 is given up without being asked', async (t) => {
  const commands: unknown[] = [];
  const served = await listenTcp(t, async (peer) => {
    await peer.next();
    peer.send(OLD);
    await keepAll(commands, peer);
  });
  await using client = asking(served, 150);
  const began = performance.now();

  await assert.rejects(client.send(waitingPull()), { code: 'CONNECTION_LOST' });

  const lasted = performance.now() - began;
  assert.ok(lasted >= 150 && lasted < 750, `given up after ${lasted} ms`);
  assert.deepEqual(commands, ['pull']);
});

test('nobody is asked while no call is in flight, whether it was answered or aborted', async (t) => {
  const commands: unknown[] = [];
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    for (let request = await peer.next(); request; request = await peer.next()) {
      commands.push(request.cmd);
      if (request.cmd !== 'pull') peer.answer(request);
      else leaving.abort(new Error('left'));
    }
  });
  const leaving = new AbortController();
  await using client = asking(served, 100);

  await client.send(ping());
  await sleep(250);
  await assert.rejects(client.send(waitingPull(), leaving.signal), /left/);
  await sleep(250);
  await client.send(ping());

  assert.deepEqual(commands, ['ping', 'pull', 'abort', 'ping']);
  assert.equal(served.count(), 1);
});

test('what came while the event loop was blocked is heard before the server is found silent', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.next();
    peer.send(OLD);
    await peer.next();
    peer.send({ ok: true, jobs: [] });
    for (const end = performance.now() + 200; performance.now() < end; ); // and nothing is read meanwhile
  });
  await using client = asking(served, 50);

  assert.deepEqual((await client.send(waitingPull())).body.jobs, []);
});

test('a server that says goodbye is asked like any other, and may refuse to answer', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    const waiting = await peer.next();
    peer.send({ notice: 'goaway', last_rid: waiting?.rid, reason: 'shutdown' });
    for (let count = 0; count < 2; count += 1) {
      const { cmd, rid } = (await peer.next()) ?? {};
      assert.equal(cmd, 'ping');
      peer.send({ ok: false, error: { code: 'SHUTTING_DOWN', message: '' }, rid });
    }
    peer.answer(waiting, { jobs: [] });
    assert.equal(await peer.next(), undefined); // nothing is in flight, and it is left
  });
  await using client = asking(served, 200);

  assert.deepEqual((await client.send(waitingPull())).body.jobs, []);
});
