/** HTTP over real sockets, against peers that do as they are told. */

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { Client } from '../src/client.ts';
import { INTERNALS } from '../src/client-core.ts';
import { httpAnswer, httpRequest, listen } from './peers.ts';

const OK = httpAnswer({ ok: true });

function connect(port: number, options = {}): Client {
  return new Client({ url: `http://127.0.0.1:${port}/base`, retries: 0, ...options });
}

/** A server that gives one answer to each request of a connection, in order. */
function answering(...answers: string[]): (socket: Socket) => Promise<void> {
  return async (socket) => {
    for (const answer of answers) {
      await httpRequest(socket);
      socket.write(answer);
    }
  };
}

test('a request as it crosses: method, path, headers, token and body', async (t) => {
  let seen = '';
  const served = await listen(t, async (socket) => {
    seen = await httpRequest(socket);
    socket.write(httpAnswer({ ok: true, id: 'a', outcome: 'created' }, 201));
  });
  await using client = connect(served.port, { token: 'secret', clientName: 'mine' });

  await client.push('q', 'n', { to: 'żółć' }, { id: 'a' });

  const [head = '', body] = seen.split('\r\n\r\n');
  const [first, ...fields] = head.split('\r\n');
  assert.equal('POST /base/api/v1/queues/q/jobs HTTP/1.1', first);
  assert.deepEqual(
    [
      'Accept-Encoding: identity',
      'Accept: application/json',
      'Authorization: Bearer secret',
      'Connection: keep-alive',
      'Content-Length: 46',
      'Content-Type: application/json',
      `Host: 127.0.0.1:${served.port}`,
      'User-Agent: mine/0.1.0',
    ],
    fields.sort(),
  );
  assert.equal('{"id":"a","name":"n","data":{"to":"żółć"}}', body);
});

test('one connection serves call after call; side by side each has its own', async (t) => {
  const served = await listen(t, answering(OK, OK, OK, OK));
  await using client = connect(served.port);
  await client.ping();
  await client.ping();
  assert.equal(1, served.count());
  await Promise.all([client.ping(), client.ping()]);
  assert.equal(2, served.count());
});

test('bytes that come while a connection lies idle end it, and are nobody’s answer', async (t) => {
  const closed = new Promise<void>((resolve) => {
    void listen(t, async (socket, index) => {
      await httpRequest(socket);
      socket.write(index === 0 ? httpAnswer({ ok: true, uptime_seconds: 1, status: 'one' }) : OK);
      if (index > 0) return;
      socket.on('close', resolve);
      setImmediate(() => socket.write(httpAnswer({ ok: true, status: 'late' })));
    }).then(({ port }) => client.resolve(connect(port)));
  });
  const client = deferred<Client>();
  await using made = await client.promise;
  assert.equal('one', (await made.health()).status);
  await closed;
  await made.ping();
});

function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

test('answers that cannot be trusted are refused', async (t) => {
  const long = 'x'.repeat(70_000);
  const bad: Record<string, string> = {
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    'length and chunks':
      'HTTP/1.1 200 OK\r\nContent-Length: 11\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{"ok":true}\r\n0\r\n\r\n',
    'a long head': `HTTP/1.1 200 OK\r\nX-Long: ${long}\r\nContent-Length: 11\r\n\r\n{"ok":true}`,
    'other protocols': 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    'no HTTP': '220 mail ready\r\n\r\n',
    'a huge body': 'HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n',
    'no JSON': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"\\',
    'bad UTF-8': 'HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{"ok":true,"a":"\xff"}',
    'no object': httpAnswer([] as never),
    'a lie': httpAnswer({ ok: true }, 302),
  };
  const answers = Object.values(bad);
  const served = await listen(t, async (socket, index) => {
    await httpRequest(socket);
    socket.end(answers[index] ?? '', 'latin1');
  });
  for (const name of Object.keys(bad)) {
    await using client = connect(served.port);
    await assert.rejects(client.ping(), { code: 'PROTOCOL_ERROR', retryable: false }, name);
  }
  assert.equal(answers.length, served.count());
});

test('an answer that ends early is a lost connection', async (t) => {
  const cut = [
    '',
    'HTTP/1.1 200 OK\r\nConte',
    'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"ok":true,',
  ];
  const served = await listen(t, async (socket, index) => {
    await httpRequest(socket);
    socket.end(cut[index] ?? '');
  });
  await using client = connect(served.port);
  for (const text of cut) await assert.rejects(client.ping(), { code: 'CONNECTION_LOST' }, text);
});

test('headers of the answer: request id and Retry-After', async (t) => {
  const headers = 'X-Request-Id: r-1\r\nRetry-After: 7\r\n';
  const refusal = { ok: false, error: { code: 'QUEUE_FULL', message: 'full' } };
  const served = await listen(t, answering(httpAnswer(refusal, 429, headers)));
  await using client = connect(served.port);
  await assert.rejects(client.push('q', 'n'), {
    name: 'RateLimitedError',
    status: 429,
    requestId: 'r-1',
    retryAfterMs: 7_000,
  });
});

test('an aborted call closes its connection, and rejects with its reason', async (t) => {
  const controller = new AbortController();
  const gone = deferred<void>();
  const served = await listen(t, async (socket) => {
    await httpRequest(socket);
    socket.on('close', () => gone.resolve());
    controller.abort(new Error('enough'));
  });
  await using client = connect(served.port);
  await assert.rejects(client.pull('q', { waitMs: 60_000, signal: controller.signal }), /enough/);
  await gone.promise;
});

test('an interrupted wait is asked again, with the same request id and without a wait', async (t) => {
  const bodies: Record<string, unknown>[] = [];
  const served = await listen(t, async (socket, index) => {
    const text = await httpRequest(socket);
    bodies.push(JSON.parse(text.split('\r\n\r\n')[1] ?? ''));
    if (index === 0) client[INTERNALS].interruptWaits();
    else socket.write(httpAnswer({ ok: true, job: null }));
  });
  const client = connect(served.port);
  t.after(() => client.close());
  assert.deepEqual([], await client.pull('q', { waitMs: 60_000, requestId: 'r' }));
  assert.deepEqual(
    [60_000, undefined],
    bodies.map((body) => body.wait_ms),
  );
  assert.deepEqual(
    ['r', 'r'],
    bodies.map((body) => body.request_id),
  );
});

test('an idle connection is left for a new one, and one with a call in flight is not', async (t) => {
  const served = await listen(t, async (socket) => {
    for (let text = await httpRequest(socket); text !== ''; text = await httpRequest(socket)) {
      if (text.includes('/pull')) client[INTERNALS].closeIdle();
      socket.write(httpAnswer({ ok: true, job: null }));
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

test('.close() - ends calls in flight', async (t) => {
  const served = await listen(t, async (socket) => {
    await httpRequest(socket);
    void client.close();
  });
  const client = connect(served.port);
  await assert.rejects(client.ping(), { code: 'CLIENT_CLOSED' });
  await assert.rejects(client.ping(), { code: 'CLIENT_CLOSED' });
});

test('https to a peer without TLS is no connection, and is not tried again', async (t) => {
  const served = await listen(t, (socket) => void socket.end('HTTP/1.1 400 Bad\r\n\r\n'));
  for (const scheme of ['https', 'tcps']) {
    await using client = new Client({ url: `${scheme}://127.0.0.1:${served.port}` });
    await assert.rejects(client.ping(), { code: 'CONNECTION_FAILED', retryable: false });
  }
});

test('what must not be repeated is not risked on a connection that has ended unheard', async (t) => {
  const served = await listen(t, async (socket) => {
    await httpRequest(socket);
    socket.end(httpAnswer({ ok: true, state: 'waiting' })); // and nothing said so
  });
  await using client = connect(served.port, { retries: 5 });
  for (let count = 0; count < 20; count += 1) {
    await client.retry('a');
    for (const end = performance.now() + 2; performance.now() < end; ); // the event loop hears nothing meanwhile
  }
  assert.equal(20, served.count());
});

test('more calls than connections wait for one, and know one that is handed on as connected', async (t) => {
  const warnings: Error[] = [];
  const warn = (warning: Error): number => warnings.push(warning);
  process.on('warning', warn);
  t.after(() => process.off('warning', warn));
  const full = deferred<void>();
  let countWhenFull = 0;
  const served = await listen(t, async (socket, index) => {
    if (index === 99) setTimeout(() => full.resolve(), 50); // in which a call more would come
    await full.promise;
    countWhenFull ||= served.count();
    await httpRequest(socket);
    socket.write(OK);
    await httpRequest(socket);
    socket.destroy(); // the second call of every connection is lost
  });
  await using client = connect(served.port);

  const results = await Promise.allSettled(Array.from({ length: 400 }, () => client.ping()));

  const codes = results.map((each) => (each.status === 'rejected' ? each.reason.code : 'OK'));
  assert.deepEqual(['CONNECTION_LOST', 'OK'], [...new Set(codes)].sort());
  assert.equal(100, countWhenFull);
  await new Promise(setImmediate);
  assert.deepEqual([], warnings);
});
