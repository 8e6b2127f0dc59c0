/**
 * JSON as the doors of the fake server read and write it: what the wire refuses is refused here too, and the JSON of users
 * stays the text that it was.
 *
 * Rule: the first member on the way down that is called `data`, `result` or `metadata` is a Payload; no operation has a
 * field of that name which is anything else.
 */

import { endOfValue } from '../json-text.ts';
import { Refused } from './fake-job.ts';

const PAYLOADS: ReadonlySet<string> = new Set(['data', 'result', 'metadata']);
const DEPTH = 1_000; // far beyond what a server takes; ends the recursion
const SPACE = /[ \t\r\n]*/y;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** JSON of a user, byte for byte; `depth` is how deep its lists and objects nest. */
export class Payload {
  readonly text: string;
  readonly depth: number;

  constructor(text: string, depth: number) {
    this.text = text;
    this.depth = depth;
  }
}

/** A number that was written with a fraction or an exponent, so that it is no integer, whatever its value. */
export class Fraction {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * One JSON value, with Payloads and Fractions in it; PARSE_ERROR for bad UTF-8, a duplicate key, a number out of range, a
 * lone surrogate or bottomless nesting.
 */
export function parseStrict(content: Uint8Array): unknown {
  return new Reader(jsonText(content)).value(0);
}

/** *content* as a text that is known to be JSON. */
function jsonText(content: Uint8Array): string {
  try {
    const text = UTF8.decode(content);
    JSON.parse(text);
    return text;
  } catch {
    throw refused('it does not follow RFC 8259'); // the parser's own words would show a payload
  }
}

function refused(why: string): Refused {
  return new Refused('PARSE_ERROR', `Invalid JSON: ${why}`);
}

/** Compact JSON, with payloads as they came. Members that are undefined are left out. */
export function dumps(value: unknown): string {
  if (value instanceof Payload || value instanceof Fraction) return value.text;
  if (Array.isArray(value)) return `[${value.map(dumps).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${dumps(member)}`).join()}}`;
}

/** *value* with payloads as what they say. */
export function plain(value: unknown): unknown {
  return JSON.parse(dumps(value));
}

/** Walks once through a text that is known to be JSON. */
class Reader {
  readonly #text: string;
  #at = 0;
  /** How deep the walk has been since the payload began in which it is. */
  #deepest = 0;
  #isInPayload = false;

  constructor(text: string) {
    this.#text = text;
  }

  /** The value that stands next, inside *depth* lists and objects. */
  value(depth: number): unknown {
    if (depth > DEPTH) throw refused('it is nested too deeply');
    const first = this.#next();
    if (first === '{') return this.#object(depth + 1);
    if (first === '[') return this.#list(depth + 1);
    return first === '"' ? this.#string() : this.#scalar();
  }

  #object(depth: number): unknown {
    this.#deepest = Math.max(this.#deepest, depth);
    const members = new Map<string, unknown>();
    this.#at += 1;
    while (this.#next() !== '}') {
      const key = this.#string();
      if (members.has(key)) throw refused('a key is there twice');
      this.#skip(':');
      const isPayload = !this.#isInPayload && PAYLOADS.has(key);
      members.set(key, isPayload ? this.#payload(depth) : this.value(depth));
      this.#skip(',');
    }
    this.#at += 1;
    return Object.fromEntries(members); // makes own members, of `__proto__` too
  }

  #list(depth: number): unknown {
    this.#deepest = Math.max(this.#deepest, depth);
    const elements: unknown[] = [];
    this.#at += 1;
    while (this.#next() !== ']') {
      elements.push(this.value(depth));
      this.#skip(',');
    }
    this.#at += 1;
    return elements;
  }

  #payload(depth: number): unknown {
    this.#isInPayload = true;
    this.#deepest = depth;
    this.#next();
    const start = this.#at;
    const isNull = this.value(depth) === null;
    this.#isInPayload = false;
    const text = this.#text.slice(start, this.#at);
    return isNull ? null : new Payload(text, this.#deepest - depth);
  }

  #string(): string {
    const source = this.#source();
    const text: string = source.includes('\\') ? JSON.parse(source) : source.slice(1, -1);
    if (!text.isWellFormed()) throw refused('it contains a lone surrogate');
    return text;
  }

  #scalar(): unknown {
    const source = this.#source();
    const value: unknown = JSON.parse(source);
    if (typeof value !== 'number' || !/[.eE]/.test(source)) return value; // integers may have any length
    if (!Number.isFinite(value)) throw refused('a number is out of range');
    return new Fraction(source);
  }

  /** The text of the string, number or word that stands next; the walk goes on behind it. */
  #source(): string {
    this.#next();
    const start = this.#at;
    this.#at = endOfValue(this.#text, start);
    return this.#text.slice(start, this.#at);
  }

  /** The first character that is not white space; it stays the next one. */
  #next(): string {
    SPACE.lastIndex = this.#at;
    this.#at += SPACE.exec(this.#text)?.[0].length ?? 0;
    return this.#text.charAt(this.#at);
  }

  #skip(mark: ',' | ':'): void {
    if (this.#next() === mark) this.#at += 1;
  }
}
