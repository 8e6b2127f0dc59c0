/** The TCP wire without sockets: every dialogue whole, byte by byte, and cut at every place. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '../src/tcp-events.ts';
import { LineDecoder, LineTooLong } from '../src/tcp-lines.ts';
import { MAX_ANSWER, Session } from '../src/tcp-session.ts';

const HELLO = '{"ok":true,"v":2,"limits":{"line_bytes":300},"rid":1}\n';
const RUSTQUEUE =
  '{"ok":false,"error":{"code":"UNKNOWN_COMMAND","message":"Unknown command: hello"}}\n';
const REFUSED = '{"ok":false,"error":{"code":"UNAUTHORIZED","message":"authenticate first"}}\n';

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function session(token: string | null = null): Session {
  return new Session({ clientName: 'test', token });
}

function ready(): Session {
  const made = session();
  made.feed(bytes(HELLO));
  return made;
}

/** Events without what is long, for comparing. */
function short(events: readonly Event[]): string[] {
  return events.map((event) => {
    if (event.type === 'answered') return `answered ${event.rid} ${JSON.stringify(event.body.id)}`;
    if (event.type === 'unprocessed') return `unprocessed ${event.rid}`;
    if (event.type === 'broken') return `broken ${event.error.code}`;
    if (event.type === 'noticed') return `noticed ${event.name}`;
    return event.type;
  });
}

const DIALOGUE = `${[
  '{"notice":"grease","x":1}',
  '{"ok":true,"id":"żółć 🎉","rid":3}',
  '{"ok":true,"id":"b","rid":2}',
  '{"notice":"goaway","last_rid":4}',
  '{"ok":false,"error":{"code":"SHUTTING_DOWN"},"rid":5}',
  '{"ok":true,"id":"d","rid":4}',
].join('\n')}\n`;
const EXPECTED = [
  'noticed grease',
  'answered 3 "żółć 🎉"',
  'answered 2 "b"',
  'unprocessed 5',
  'noticed goaway',
  'answered 4 "d"',
];

function afterDialogue(chunks: readonly Uint8Array[]): string[] {
  const made = ready();
  for (let count = 0; count < 4; count += 1) made.send('push', '{"queue":"q"}');
  return chunks.flatMap((chunk) => short(made.feed(chunk)));
}

test('.feed() - a dialogue whole, and byte by byte', () => {
  const all = bytes(DIALOGUE);
  assert.deepEqual(EXPECTED, afterDialogue([all]));
  assert.deepEqual(EXPECTED, afterDialogue(Array.from(all, (_, at) => all.subarray(at, at + 1))));
});

test('.feed() - a dialogue cut at every place', () => {
  const all = bytes(DIALOGUE);
  for (let at = 0; at <= all.length; at += 1) {
    assert.deepEqual(EXPECTED, afterDialogue([all.subarray(0, at), all.subarray(at)]), `at ${at}`);
  }
});

test('.hello() - offers both versions, names the client, and gives the token', () => {
  const { cmd, rid, v, client, token } = JSON.parse(session('secret').hello());
  assert.deepEqual(['hello', 1, [1, 2], 'secret'], [cmd, rid, v, token]);
  assert.equal('test', client.name);
  assert.equal('token' in JSON.parse(session().hello()), false);
});

test('.send() - rids are never used twice, and the line is the object with its command', () => {
  const made = ready();
  assert.deepEqual([2, '{"cmd":"ping","rid":2}\n'], made.send('ping', '{}'));
  assert.deepEqual([3, '{"cmd":"push","rid":3,"queue":"q"}\n'], made.send('push', '{"queue":"q"}'));
  assert.equal(2, made.inFlight);
});

test('.send() - what is over the limit of the server is refused, in bytes, and the session goes on', () => {
  const made = ready();
  const head = '{"cmd":"push","rid":2,"a":""}'.length;
  const fits = JSON.stringify({ a: 'ż'.repeat(Math.floor((300 - head) / 2)) });
  assert.equal(2, made.send('push', fits)[0]);
  const over = JSON.stringify({ a: 'ż'.repeat(Math.floor((300 - head) / 2) + 1) });
  assert.throws(() => made.send('push', over), { code: 'PAYLOAD_TOO_LARGE' });
  assert.equal(1, made.inFlight);
  assert.equal(3, made.send('ping', '{}')[0]);
});

test('version 1 - a hello that is not known, answers in order and without rids', () => {
  const made = session();
  assert.deepEqual(['ready'], short(made.feed(bytes(RUSTQUEUE))));
  assert.equal(1, made.version);
  assert.equal('{"cmd":"ping"}\n', made.send('ping', '{}')[1]);
  made.send('push', '{"queue":"q"}');
  const events = made.feed(bytes('{"ok":true,"id":"a"}\r\n{"ok":true,"id":"b"}\n'));
  assert.deepEqual(['answered 2 "a"', 'answered 3 "b"'], short(events));
  assert.equal('', made.abort(3));
});

test('version 1 - with a token: auth follows, and is sent once', () => {
  for (const answer of [RUSTQUEUE, REFUSED]) {
    const made = session('secret');
    assert.deepEqual([], made.feed(bytes(answer)));
    assert.equal('{"cmd":"auth","token":"secret"}\n', made.outgoing());
    assert.equal('', made.outgoing());
    assert.deepEqual(['ready'], short(made.feed(bytes('{"ok":true}\n'))));
    assert.equal(1, made.version);
  }
});

test('version 1 - a server that wants no token does not know auth; a wrong one is refused', () => {
  const open = session('secret');
  open.feed(bytes(RUSTQUEUE));
  assert.deepEqual(['ready'], short(open.feed(bytes(RUSTQUEUE))));
  const closed = session('secret');
  closed.feed(bytes(REFUSED));
  assert.deepEqual(['broken UNAUTHORIZED'], short(closed.feed(bytes(REFUSED))));
});

test('the handshake - a refusal with a rid is one, and so is a version that was not offered', () => {
  const refusal = '{"ok":false,"error":{"code":"UNAUTHORIZED"},"rid":1}\n';
  assert.deepEqual(['broken UNAUTHORIZED'], short(session('secret').feed(bytes(refusal))));
  assert.deepEqual(['broken UNAUTHORIZED'], short(session().feed(bytes(REFUSED))));
  assert.deepEqual(['broken PROTOCOL_ERROR'], short(session().feed(bytes('{"ok":true,"v":9}\n'))));
});

test('.abandon() - a late answer reaches nobody; one whose caller aborted is told, to be given back', () => {
  const made = ready();
  for (let count = 0; count < 3; count += 1) made.send('pull', '{"queue":"q"}');
  assert.equal(false, made.abandon(2));
  assert.equal(false, made.abandon(3, { aborted: true }));
  const late = '{"ok":true,"job":{"id":"a","lease":"1-a"},"rid":3}\n';
  const events = made.feed(
    bytes(`{"ok":true,"id":"x","rid":2}\n${late}{"ok":true,"id":"c","rid":4}\n`),
  );
  assert.deepEqual(['late', 'answered 4 "c"'], short(events));
  const [first] = events;
  assert.ok(first?.type === 'late');
  assert.deepEqual(
    { cmd: 'release', rid: 5, id: 'a', lease: '1-a' },
    JSON.parse(made.giveBack(first.body)),
  );
  assert.equal(0, made.inFlight);
});

test('.ping() - is no call in flight, and its answer reaches nobody', () => {
  const made = ready();
  made.send('pull', '{"queue":"q"}');
  assert.equal('{"cmd":"ping","rid":3}\n', made.ping());
  assert.equal(1, made.inFlight);
  const events = made.feed(bytes('{"ok":true,"rid":3}\n{"ok":true,"id":"a","rid":2}\n'));
  assert.deepEqual(['answered 2 "a"'], short(events));
  const old = session();
  old.feed(bytes(RUSTQUEUE));
  assert.equal('', old.ping());
});

test('.giveBack() - of several jobs each that has a lease, of an empty answer nothing', () => {
  const made = ready();
  const jobs = [{ id: 'a', lease: '1-a' }, { id: 'b' }, null, { id: 'c', lease: '1-c' }];
  const lines = made.giveBack({ jobs }).trimEnd().split('\n');
  assert.deepEqual(
    ['a', 'c'],
    lines.map((line) => JSON.parse(line).id),
  );
  assert.equal('', made.giveBack({ job: null }));
  assert.equal('', made.giveBack({}));
});

test('.abandon() - in version 1 the connection has to be closed', () => {
  const made = session();
  made.feed(bytes(RUSTQUEUE));
  made.send('push', '{"queue":"q"}');
  assert.equal(true, made.abandon(2));
  assert.equal(false, made.abandon(99));
});

test('nonsense ends the session, and nothing is read after it', () => {
  const nonsense = [
    'nonsense\n',
    '[]\n',
    '5\n',
    'null\n',
    '\n',
    '{"ok":true,"rid":999}\n',
    '{"ok":true,"rid":"2"}\n',
    '{"ok":true\n',
  ];
  for (const text of nonsense) {
    const made = ready();
    made.send('ping', '{}');
    made.send('ping', '{}');
    assert.deepEqual(
      ['broken PROTOCOL_ERROR'],
      short(made.feed(bytes(`${text}{"ok":true,"rid":2}\n`))),
    );
    assert.deepEqual([], made.feed(bytes('{"ok":true,"rid":3}\n')));
  }
  const made = ready();
  assert.deepEqual(
    ['broken PROTOCOL_ERROR'],
    short(made.feed(Uint8Array.of(0x22, 0xff, 0x22, 0x0a))),
  );
});

test('an error without a rid speaks of the connection', () => {
  const made = ready();
  made.send('ping', '{}');
  made.send('ping', '{}');
  const events = made.feed(
    bytes('{"ok":false,"error":{"code":"REQUEST_TIMEOUT","message":"late"}}\n'),
  );
  assert.deepEqual(['broken CONNECTION_LOST'], short(events));
});

test('goaway without a last_rid leaves what is in flight alone', () => {
  const made = ready();
  made.send('ping', '{}');
  assert.deepEqual(['noticed goaway'], short(made.feed(bytes('{"notice":"goaway"}\n'))));
  assert.equal(true, made.isDraining);
  assert.equal(1, made.inFlight);
});

test('two sessions, one after the other, share nothing', () => {
  const one = ready();
  one.send('ping', '{}');
  assert.equal(2, ready().send('ping', '{}')[0]);
});

test('LineDecoder - a line at the limit is read, one over it is not, in one piece or in many', () => {
  const decode = (limit: number, chunks: string[]): string[] => {
    const lines = new LineDecoder(limit);
    return chunks.flatMap((chunk) =>
      Array.from(lines.push(bytes(chunk)), (line) => new TextDecoder().decode(line)),
    );
  };
  assert.deepEqual(['12345', ''], decode(5, ['12345\n', '\n']));
  assert.deepEqual(['12345', '6'], decode(5, ['1', '23', '45', '\n6', '\n7']));
  for (const chunks of [['123456\n'], ['12345', '6'], ['1\n123', '456\n'], ['123456']]) {
    assert.throws(() => decode(5, chunks), LineTooLong);
  }
});

test('a line without end is given up at the limit', () => {
  const made = new Session({ clientName: 'test', token: null, maxAnswer: 1_000 });
  made.feed(bytes(HELLO));
  const events = [1, 2, 3].flatMap(() => made.feed(bytes('x'.repeat(400))));
  assert.deepEqual(['broken PROTOCOL_ERROR'], short(events));
  assert.equal(64 * 1024 * 1024, MAX_ANSWER);
});

test('a line of megabytes in small pieces is read in linear time', () => {
  const made = ready();
  made.send('get', '{"id":"a"}');
  const text = bytes(`{"ok":true,"id":"${'x'.repeat(8 * 1024 * 1024)}","rid":2}\n`);
  const events: Event[] = [];
  for (let at = 0; at < text.length; at += 1_000)
    events.push(...made.feed(text.subarray(at, at + 1_000)));
  assert.equal('answered', events[0]?.type);
});
