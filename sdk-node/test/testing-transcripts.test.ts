/** The conversations of spec/vectors/transcripts.json with the TCP door of the fake server, whole and a byte at a time. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { FakeServer } from '../src/testing/index.ts';
import { vectors } from './vectors.ts';

const ANY = '…';

interface Transcript {
  readonly id: string;
  readonly sides: readonly string[];
  readonly token: boolean;
  /** A mark and a text each; the file says what the marks mean. */
  readonly lines: readonly string[];
}

/** What stands for what: the values of names such as <lease>. */
type Known = Map<string, unknown>;

class Talk {
  readonly #fake: FakeServer;
  readonly #isCut: boolean;
  readonly #known: Known = new Map();
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(fake: FakeServer, socket: Socket, isCut: boolean) {
    this.#fake = fake;
    this.#isCut = isCut;
    this.#socket = socket;
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  send(text: string): void {
    const bytes = Buffer.from(this.#filled(text));
    if (!this.#isCut) this.#socket.write(bytes);
    else for (const byte of bytes) this.#socket.write(Buffer.of(byte));
  }

  sendNoMore(): void {
    this.#socket.end();
  }

  /** These lines, in any order. */
  async expect(texts: readonly string[]): Promise<void> {
    const left = texts.map((text) => JSON.parse(text));
    while (left.length > 0) {
      const { value = '' } = await this.#lines.next();
      const found: unknown = JSON.parse(value);
      const at = left.findIndex((wanted) => fits(wanted, found, new Map(this.#known)));
      assert.ok(at >= 0, `expected ${JSON.stringify(left)}, got ${value}`);
      fits(left[at], found, this.#known);
      left.splice(at, 1);
    }
  }

  async expectClose(): Promise<void> {
    assert.equal(true, (await this.#lines.next()).done);
  }

  async askElsewhere(text: string): Promise<void> {
    const socket = await dial(this.#fake);
    socket.write(`${this.#filled(text)}\n`);
    const [answer] = await once(createInterface({ input: socket }), 'line');
    assert.match(answer, /^{"ok":true/);
    socket.destroy();
  }

  #filled(text: string): string {
    let filled = text.replaceAll(`,"${ANY}":"${ANY}"`, ''); // members that a client adds as it likes
    for (const [name, value] of this.#known) {
      filled = filled.replaceAll(JSON.stringify(name), JSON.stringify(value));
    }
    return filled;
  }
}

async function dial(fake: FakeServer): Promise<Socket> {
  const port = Number(new URL(fake.tcpUrl).port);
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

/** Whether *found* is what a line says; what it says of names is put into *known*. */
function fits(wanted: unknown, found: unknown, known: Known): boolean {
  if (wanted === ANY) return true;
  if (typeof wanted === 'string' && wanted.startsWith('<')) {
    if (!known.has(wanted)) known.set(wanted, found);
    return isDeepStrictEqual(known.get(wanted), found);
  }
  if (!isObject(wanted) || !isObject(found)) return isDeepStrictEqual(wanted, found);
  const names = Object.keys(wanted).filter((name) => name !== ANY);
  const isAllowed = ANY in wanted || Object.keys(found).every((name) => name in wanted);
  return (
    isAllowed && names.every((name) => name in found && fits(wanted[name], found[name], known))
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

interface Turn {
  readonly mark: string;
  readonly texts: string[];
}

/** The lines in groups: what is sent in one write, what comes in any order, and the rest one by one. */
function turns(lines: readonly string[]): Turn[] {
  const groups: Turn[] = [];
  for (const line of lines) {
    const given = line.slice(0, 2);
    const mark = given === 'C:' || given === 'C~' ? 'C' : given;
    const text = `${line.slice(3)}${given === 'C:' ? '\n' : ''}`;
    const last = groups.at(-1);
    if (last?.mark === mark && (mark === 'C' || mark === 'S*')) last.texts.push(text);
    else groups.push({ mark, texts: [text] });
  }
  return groups;
}

async function replay(row: Transcript, isCut: boolean): Promise<void> {
  await using fake = await FakeServer.start(row.token ? { token: 'secret' } : {});
  const talk = new Talk(fake, await dial(fake), isCut);
  const does: Record<string, (texts: string[]) => unknown> = {
    C: (texts) => talk.send(texts.join('')),
    'C.': () => talk.sendNoMore(),
    'S:': (texts) => talk.expect(texts),
    'S*': (texts) => talk.expect(texts),
    'S.': () => talk.expectClose(),
    'A:': ([text = '']) => talk.askElsewhere(text),
    'T:': ([ms]) => fake.advance(Number(ms)),
    'T.': () => fake.drain(),
  };
  for (const { mark, texts } of turns(row.lines)) await does[mark]?.(texts);
}

const ROWS = vectors<Transcript>('transcripts').filter(({ sides }) => sides.includes('server'));

for (const row of ROWS) {
  test(`a conversation: ${row.id}`, { timeout: 30_000 }, async () => {
    for (const isCut of [false, true]) await replay(row, isCut);
  });
}
