/** spec/vectors/transcripts.json in the client's direction: what the session writes, and what it makes of a server's lines. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '../src/tcp-events.ts';
import { Session } from '../src/tcp-session.ts';
import { vectors } from './vectors.ts';

type Line = Record<string, unknown> & { error?: { code?: string } };

interface Transcript {
  readonly id: string;
  readonly sides: readonly string[];
  readonly token: boolean;
  /** A mark and a text each; the file says what the marks mean. */
  readonly lines: readonly string[];
}

const ANY = '…';
const ROWS = vectors<Transcript>('transcripts').filter(({ sides }) => sides.includes('client'));
const CUTS = {
  whole: (lines: readonly string[]) => [lines.join('')],
  lines: (lines: readonly string[]) => lines,
};

function told(event: Event): unknown[] {
  switch (event.type) {
    case 'answered':
      return ['answered', event.rid, event.body];
    case 'unprocessed':
      return ['unprocessed', event.rid];
    case 'noticed':
      return ['noticed', event.name];
    default:
      return [event.type];
  }
}

/** A session that says the C lines of a row, and what it should make of the S lines. */
class Talk {
  readonly session: Session;
  #asked: number[] = [];
  #isGreeted = false;

  constructor({ token }: Transcript) {
    this.session = new Session({ clientName: 'test', token: token ? 'secret' : null });
  }

  /** Check that the session writes this line. */
  say(text: string): void {
    const { [ANY]: any, ...wanted } = JSON.parse(text) as Line;
    const written = this.#written(wanted);
    assert.equal(written.length - 1, written.indexOf('\n'));
    const said = JSON.parse(written);
    const compared = Object.keys(any === undefined ? said : wanted).map((key) => [key, said[key]]);
    assert.deepEqual(wanted, Object.fromEntries(compared));
  }

  #written({ cmd, rid: _, ...fields }: Line): string {
    if (cmd === 'hello') return this.session.hello();
    if (cmd === 'auth') return this.session.outgoing();
    const [rid, line] = this.session.send(String(cmd), JSON.stringify(fields));
    this.#asked.push(rid);
    return line;
  }

  /** What the session should tell of this line. */
  wanted(text: string): unknown[][] {
    let body: Line;
    try {
      body = JSON.parse(text);
    } catch {
      return [['broken']];
    }
    if (!this.#isGreeted) return this.#greeting(body);
    if (body.notice === 'goaway') {
      const lost = this.#asked.filter((rid) => rid > Number(body.last_rid));
      this.#asked = this.#asked.filter((rid) => !lost.includes(rid));
      return [...lost.map((rid) => ['unprocessed', rid]), ['noticed', 'goaway']];
    }
    if ('notice' in body) return [['noticed', body.notice]];
    const rid = Number(body.rid ?? this.#asked[0]);
    if (!this.#asked.includes(rid)) return rid === 99 ? [['broken']] : [];
    this.#asked = this.#asked.filter((each) => each !== rid);
    return [['answered', rid, body]];
  }

  #greeting(body: Line): unknown[][] {
    const isRefused = body.error?.code === 'UNAUTHORIZED';
    if (isRefused && !('rid' in body)) return []; // RustQueue: auth comes next
    this.#isGreeted = true;
    return [[isRefused ? 'broken' : 'ready']];
  }
}

/** Adjacent lines of one side together, S* lines apart from S: ones; without what is no affair of this client. */
function groups({ lines }: Transcript): [mark: string, texts: string[]][] {
  const found: [string, string[]][] = [];
  for (const line of lines.filter((each) => !/^(A:|T:|T\.)/.test(each))) {
    const mark = line.slice(0, 2);
    const last = found.at(-1);
    if (last?.[0] === mark) last[1].push(line.slice(3));
    else found.push([mark, [line.slice(3)]]);
  }
  return found;
}

function bytesOf(lines: readonly string[]): Uint8Array[] {
  return Array.from(new TextEncoder().encode(lines.join('')), (byte) => Uint8Array.of(byte));
}

/** Hold a session against *row*; the kinds of events that were told. */
function hold(row: Transcript, cut: keyof typeof CUTS | 'bytes', isTurned: boolean): Set<unknown> {
  const talk = new Talk(row);
  const seen = new Set<unknown>();
  for (const [mark, texts] of groups(row)) {
    if (mark === 'C:') for (const text of texts) talk.say(text);
    if (mark !== 'S:' && mark !== 'S*') continue;
    const coming = isTurned && mark === 'S*' ? texts.toReversed() : texts;
    const wanted = coming.flatMap((text) => talk.wanted(text));
    const lines = coming.map((text) => `${text}\n`);
    const encoder = new TextEncoder();
    const pieces =
      cut === 'bytes' ? bytesOf(lines) : CUTS[cut](lines).map((piece) => encoder.encode(piece));
    const events = pieces.flatMap((piece) => talk.session.feed(piece).map(told));
    assert.deepEqual(wanted, events);
    for (const [kind] of events) seen.add(kind);
  }
  return seen;
}

for (const row of ROWS) {
  test(`a session says and understands the lines of ${row.id}`, () => {
    for (const cut of ['whole', 'lines', 'bytes'] as const) {
      for (const isTurned of [false, true]) hold(row, cut, isTurned);
    }
  });
}

test('the rows have every kind of event', () => {
  const seen = new Set(ROWS.flatMap((row) => [...hold(row, 'lines', false)]));
  assert.deepEqual(['answered', 'broken', 'noticed', 'ready', 'unprocessed'], [...seen].sort());
});
