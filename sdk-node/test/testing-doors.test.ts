/** What the doors of the fake server take and refuse, byte for byte, and who may come in. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { Client } from '../src/index.ts';
import { FakeServer } from '../src/testing/index.ts';
import { vectors } from './vectors.ts';

const DOORS = ['http', 'tcp'] as const;

let fake: FakeServer;
let clients: Record<(typeof DOORS)[number], Client>;

before(async () => {
  fake = await FakeServer.start();
  clients = { http: new Client({ url: fake.url }), tcp: new Client({ url: fake.tcpUrl }) };
});

after(async () => {
  await Promise.all(Object.values(clients).map((client) => client.close()));
  await fake.close();
});

/** A connection to the TCP door, with lines as texts. */
async function dial(): Promise<{ socket: Socket; ask: (line: Buffer) => Promise<string> }> {
  const socket = connect(Number(new URL(fake.tcpUrl).port), '127.0.0.1');
  await once(socket, 'connect');
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const ask = async (line: Buffer): Promise<string> => {
    socket.write(Buffer.concat([line, Buffer.from('\n')]));
    return (await lines.next()).value;
  };
  return { socket, ask };
}

for (const door of DOORS) {
  test(`${door} - JSON of users comes back byte for byte`, async () => {
    const rows = vectors<{ id: string; text: string }>('json_values');
    assert.ok(rows.length > 70);
    const push = await pusher(door);
    for (const { id, text } of rows) {
      await push(`values-${door}`, text);
      const [job] = await clients[door].pull(`values-${door}`);
      assert.equal(text, job?.rawData, id);
    }
  });
}

/** A function that pushes a job with this text as its data, as it stands. */
async function pusher(door: 'http' | 'tcp'): Promise<(queue: string, text: string) => unknown> {
  if (door === 'http') {
    const headers = { 'Content-Type': 'application/json' };
    return async (queue, text) => {
      const url = `${fake.url}/api/v1/queues/${queue}/jobs`;
      const body = `{"name":"job","data":${text}}`;
      const response = await fetch(url, { method: 'POST', headers, body });
      assert.equal(201, response.status, await response.text());
    };
  }
  const { socket, ask } = await dial();
  socket.unref();
  return async (queue, text) => {
    const line = `{"cmd":"push","queue":"${queue}","name":"job","data":${text}}`;
    assert.match(await ask(Buffer.from(line)), /^{"ok":true/);
  };
}

interface MalformedRow {
  readonly id: string;
  readonly door: 'http' | 'tcp';
  readonly hex?: string;
  readonly parts?: [hex: string, count: number][];
  readonly code: string;
  readonly status?: number;
}

function bytesOf({ hex = '', parts = [[hex, 1]] }: MalformedRow): Buffer {
  return Buffer.concat(parts.map(([each, count]) => Buffer.from(each.repeat(count), 'hex')));
}

test('what is malformed is refused with the code of the vectors, and pushes nothing', async () => {
  const rows = vectors<MalformedRow>('malformed');
  assert.ok(rows.length > 250);
  const { socket, ask } = await dial();
  for (const row of rows) {
    const content = bytesOf(row);
    const answer =
      row.door === 'tcp' ? JSON.parse(await ask(content)) : await pushOverHttp(content, row);
    assert.equal(false, answer.ok, row.id);
    assert.equal(row.code, answer.error.code, row.id);
  }
  assert.equal(0, (await clients.http.stats('emails')).counts.waiting);
  socket.destroy();
});

async function pushOverHttp(body: Buffer, row: MalformedRow) {
  const headers = { 'Content-Type': 'application/json' };
  const url = `${fake.url}/api/v1/queues/emails/jobs`;
  const response = await fetch(url, { method: 'POST', headers, body: Uint8Array.from(body) });
  assert.equal(row.status, response.status, row.id);
  return response.json() as Promise<{ ok: boolean; error: { code: string } }>;
}

test('what has no end is refused, and the door stays open', async () => {
  const deep = '['.repeat(200_000);
  const { socket, ask } = await dial();
  const line = `{"cmd":"push","queue":"q","name":"job","data":${deep}${']'.repeat(200_000)}}`;
  assert.match(await ask(Buffer.from(line)), /"code":"PARSE_ERROR"/);
  assert.match(await ask(Buffer.from('{"cmd":"ping"}')), /"ok":true/);
  assert.match(await ask(Buffer.alloc(4_194_305, 'x')), /"code":"PAYLOAD_TOO_LARGE"/);
  await once(socket, 'close');
  const headers = { 'Content-Type': 'application/json' };
  const body = Buffer.alloc(4_194_305, 'x');
  const url = `${fake.url}/api/v1/pull`;
  assert.equal(413, (await fetch(url, { method: 'POST', headers, body })).status);
});

test('an unknown path, a wrong method and a body that is not JSON', async () => {
  const base = `${fake.url}/api/v1`;
  const status = async (path: string, init: RequestInit = {}): Promise<number> =>
    (await fetch(`${base}${path}`, init)).status;

  assert.equal(404, await status('/nowhere'));
  assert.equal(405, await status('/pull'));
  assert.equal(415, await status('/pull', { method: 'POST', body: '{}' }));
  assert.equal(400, await status('/jobs?limit=x'));
  assert.equal(400, await status('/queues/%ff/stats'));
  assert.equal(422, await status('/jobs?colour=red'));
});

test('version 1 gets answers in order, no notices, and its own codes', async () => {
  const { socket, ask } = await dial();
  const missing = '01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f';

  assert.match(await ask(Buffer.from(`{"cmd":"get","id":"${missing}"}`)), /"code":"NOT_FOUND"/);
  assert.match(await ask(Buffer.from('{"cmd":"find"}')), /"code":"UNKNOWN_COMMAND"/);
  const batch = JSON.parse(await ask(Buffer.from(`{"cmd":"ack_batch","ids":["${missing}"]}`)));
  assert.deepEqual([false, 'PARTIAL_FAILURE', 1], [batch.ok, batch.error.code, batch.failed]);
  const [first, second] = await Promise.all([
    ask(Buffer.from('{"cmd":"pull","queue":"empty","wait_ms":20,"rid":1}')),
    ask(Buffer.from('{"cmd":"ping","rid":2}')),
  ]);
  assert.match(first, /"rid":1/);
  assert.match(second, /"rid":2/);
  assert.match(await ask(Buffer.from('{"cmd":"bye"}')), /"ok":true/);
  await once(socket, 'close');
});

for (const door of DOORS) {
  test(`${door} - a server with a token wants it`, async () => {
    await using guarded = await FakeServer.start({ token: 'right' });
    const url = door === 'http' ? guarded.url : guarded.tcpUrl;
    await using good = new Client({ url, token: 'right' });
    await using bad = new Client({ url, token: 'wrong' });

    assert.equal('created', (await good.push('q', 'job')).outcome);
    await assert.rejects(bad.push('q', 'job'), { code: 'UNAUTHORIZED' });
  });
}
