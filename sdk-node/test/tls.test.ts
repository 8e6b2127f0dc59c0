/** https and tcps: certificates are verified, and nothing is said to a stranger. */

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer } from 'node:tls';
import { Client } from '../src/client.ts';
import { selfSigned } from './certificates.ts';
import { httpAnswer, httpRequest, Peer } from './peers.ts';

type Scheme = 'https' | 'tcps';

/** A server that answers every ping, behind a certificate for *name*. What clients said is in `heard`. */
async function serve(t: TestContext, scheme: Scheme, name: string) {
  const certificate = selfSigned(name);
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(certificate, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => heard.push(String(chunk)));
    void (scheme === 'https' ? answerHttp(socket) : answerTcp(socket));
  });
  server.on('tlsClientError', () => {}); // the client refused the certificate
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  return { url: `${scheme}://127.0.0.1:${port}`, ca: certificate.cert, heard };
}

async function answerHttp(socket: Socket): Promise<void> {
  try {
    while ((await httpRequest(socket)) !== '') socket.write(httpAnswer({ ok: true }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException; // a client that closes at once is no fault
    if (code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
}

async function answerTcp(socket: Socket): Promise<void> {
  const peer = new Peer(socket);
  await peer.greet();
  for (let request = await peer.next(); request; request = await peer.next()) peer.answer(request);
}

for (const scheme of ['https', 'tcps'] as const) {
  test(`${scheme} - carries many calls`, async (t) => {
    const { url, ca, heard } = await serve(t, scheme, '127.0.0.1');
    await using client = new Client({ url, tls: { ca }, token: 'secret' });
    for (let count = 0; count < 5; count += 1) await client.ping();
    await Promise.all(Array.from({ length: 5 }, () => client.ping()));
    assert.match(heard.join(''), /secret/);
  });

  test(`${scheme} - a certificate of a stranger is refused, at once and with nothing said`, async (t) => {
    const { url, heard } = await serve(t, scheme, '127.0.0.1');
    await using client = new Client({ url, token: 'secret' });
    await assert.rejects(client.ping(), {
      code: 'CONNECTION_FAILED',
      retryable: false,
      message: /TLS failed: .*SELF_SIGNED/,
    });
    assert.deepEqual([], heard);
  });

  test(`${scheme} - a certificate for another name is refused, unless that name is asked for`, async (t) => {
    const { url, ca } = await serve(t, scheme, 'queue.example');
    await using client = new Client({ url, tls: { ca } });
    await assert.rejects(client.ping(), {
      code: 'CONNECTION_FAILED',
      retryable: false,
      message: /TLS failed: ERR_TLS_CERT_ALTNAME_INVALID/,
    });
    await using named = new Client({ url, tls: { ca, servername: 'queue.example' } });
    await named.ping();
  });
}
