/** Reads a text that is known to be JSON without losing a digit of its integers. */

import { endOfScalar, endOfString, skipSpace } from './json-text.ts';

const DEPTH = 1_000; // far beyond what a server gives; more could use up the stack

/** One pass over one text. JSON.parse has found it good, so that nothing is checked here but its depth. */
export class ExactReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next value; integers that a number cannot hold are bigints. SyntaxError when it is nested too deeply. */
  value(depth: number): unknown {
    if (depth > DEPTH) throw new SyntaxError('nested too deeply');
    this.#at = skipSpace(this.#text, this.#at);
    switch (this.#text.charAt(this.#at)) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return JSON.parse(this.#take(endOfString(this.#text, this.#at)));
      default:
        return scalar(this.#take(endOfScalar(this.#text, this.#at)));
    }
  }

  #object(depth: number): object {
    const found: [string, unknown][] = [];
    while (this.#enters('}')) {
      const key: string = JSON.parse(this.#take(endOfString(this.#text, this.#at)));
      this.#at = skipSpace(this.#text, this.#at) + 1; // the colon
      found.push([key, this.value(depth + 1)]);
    }
    return Object.fromEntries(found); // makes own members, of `__proto__` too
  }

  #array(depth: number): unknown[] {
    const found: unknown[] = [];
    while (this.#enters(']')) found.push(this.value(depth + 1));
    return found;
  }

  /** Pass over `{`, `[`, a comma or *close*; true when a member or an element follows. */
  #enters(close: string): boolean {
    this.#at = skipSpace(this.#text, this.#at);
    if (this.#text.charAt(this.#at) !== close) {
      this.#at = skipSpace(this.#text, this.#at + 1);
      if (this.#text.charAt(this.#at) !== close) return true; // only behind the opening can it be there
    }
    this.#at += 1;
    return false;
  }

  #take(end: number): string {
    const taken = this.#text.slice(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function scalar(source: string): unknown {
  const value: unknown = JSON.parse(source);
  const isBig = typeof value === 'number' && !Number.isSafeInteger(value);
  return isBig && /^-?[0-9]+$/.test(source) ? BigInt(source) : value;
}
