/** What a client leaves to its process: an end by itself, and no open handle. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { httpAnswer, httpRequest, listen, listenTcp } from './peers.ts';

const INDEX = new URL('../src/index.js', import.meta.url);

/** Run *code* with a Client in a process of its own; what it printed. It has to end by itself. */
async function run(t: { signal: AbortSignal }, code: string): Promise<string> {
  const script = `import { Client } from ${JSON.stringify(INDEX.href)};\n${code}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    signal: t.signal,
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      printed += chunk;
    });
  }
  const [exit] = await once(child, 'close');
  assert.equal(0, exit, printed);
  return printed;
}

test('a process ends by itself, with a client that was never closed, over HTTP and TCP', async (t) => {
  const tcp = await listenTcp(t, async (peer) => {
    await peer.greet();
    peer.answer(await peer.next());
  });
  const http = await listen(t, async (socket) => {
    await httpRequest(socket);
    socket.write(httpAnswer({ ok: true }));
  });
  for (const url of [`tcp://127.0.0.1:${tcp.port}`, `http://127.0.0.1:${http.port}`]) {
    const code = `const client = new Client({ url: ${JSON.stringify(url)} });
      await client.ping(); console.log('done');`;
    assert.equal('done\n', await run(t, code));
  }
});

test('a process ends by itself, though a ping for a sign of life has no answer', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    const call = await peer.next();
    await peer.next(); // the sign of life that is asked for; nobody waits for it
    peer.answer(call);
  });
  const url = `tcp://127.0.0.1:${served.port}`;
  const code = `const client = new Client({ url: ${JSON.stringify(url)}, _silenceMs: 1000 });
    await client.ping(); console.log('done');`;
  assert.equal('done\n', await run(t, code));
});

test('a process does not wait for the next look at a connection on which nothing is in flight', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    peer.answer(await peer.next());
  });
  const url = `tcp://127.0.0.1:${served.port}`;
  const code = `const client = new Client({ url: ${JSON.stringify(url)}, _silenceMs: 120_000 });
    await client.ping(); console.log('done');`;
  const began = performance.now();
  assert.equal('done\n', await run(t, code));
  assert.ok(performance.now() - began < 30_000);
});

test('a call that waits for its answer keeps the process alive', async (t) => {
  const served = await listenTcp(t, async (peer) => {
    await peer.greet();
    peer.answer(await peer.next());
    const second = await peer.next();
    setTimeout(() => peer.answer(second), 50);
  });
  const code = `const client = new Client({ url: 'tcp://127.0.0.1:${served.port}' });
    await client.ping(); await new Promise(setImmediate);
    client.ping().then(() => console.log('answered'));`;
  assert.equal('answered\n', await run(t, code));
});
