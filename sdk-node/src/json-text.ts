/**
 * Finds where values stand in a text that is known to be JSON, so that they can be given as they were written.
 *
 * Rule: a position is that of a value, with or without white space before it. Nothing here checks; JSON.parse has.
 */

const STRUCTURE = /["{}[\]]/g;
const SCALAR_END = /[,\]}\s]|$/g;

/** Where a value is: its first position and the one behind its last. */
export type Span = readonly [start: number, end: number];

/** The position of the next character that is no white space. */
export function skipSpace(text: string, at: number): number {
  let here = at;
  while (' \t\r\n'.includes(text.charAt(here)) && here < text.length) here += 1;
  return here;
}

/** The position behind the string that starts with the quote at *at*. */
export function endOfString(text: string, at: number): number {
  let end = at;
  let backslashes: number;
  do {
    end = text.indexOf('"', end + 1);
    backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes += 1;
  } while (backslashes % 2 === 1); // an escaped quote
  return end + 1;
}

/** The position behind the number or literal at *at*. */
export function endOfScalar(text: string, at: number): number {
  SCALAR_END.lastIndex = at;
  return SCALAR_END.exec(text)?.index ?? text.length;
}

/** The position behind the value at *at*. */
export function endOfValue(text: string, at: number): number {
  const start = skipSpace(text, at);
  const first = text.charAt(start);
  if (first === '"') return endOfString(text, start);
  if (first !== '{' && first !== '[') return endOfScalar(text, start);
  let depth = 0;
  STRUCTURE.lastIndex = start;
  for (let found = STRUCTURE.exec(text); found !== null; found = STRUCTURE.exec(text)) {
    if (found[0] === '"') STRUCTURE.lastIndex = endOfString(text, found.index);
    else depth += found[0] === '{' || found[0] === '[' ? 1 : -1;
    if (depth === 0) return STRUCTURE.lastIndex;
  }
  return text.length;
}

/** The key and the place of each member of the object at *at*. */
export function* members(text: string, at: number): Generator<[string, ...Span]> {
  let here = skipSpace(text, skipSpace(text, at) + 1);
  while (text.charAt(here) === '"') {
    const end = endOfString(text, here);
    const key: string = JSON.parse(text.slice(here, end));
    const start = skipSpace(text, skipSpace(text, end) + 1);
    const after = endOfValue(text, start);
    yield [key, start, after];
    here = skipSpace(text, after);
    if (text.charAt(here) === ',') here = skipSpace(text, here + 1);
  }
}

/** The place of each element of the array at *at*. */
export function* elements(text: string, at: number): Generator<Span> {
  let here = skipSpace(text, skipSpace(text, at) + 1);
  while (here < text.length && text.charAt(here) !== ']') {
    const end = endOfValue(text, here);
    yield [here, end];
    here = skipSpace(text, end);
    if (text.charAt(here) === ',') here = skipSpace(text, here + 1);
  }
}

/** The text of the member *name* of the object in *text*, exactly as it stands there; null when it is absent. */
export function rawMember(text: string, name: string): string | null {
  let found: string | null = null;
  for (const [key, start, end] of members(text, 0)) {
    if (key === name) found = text.slice(start, end); // of several the last one counts, as for JSON.parse
  }
  return found;
}

/** The texts of the jobs of an answer, found when the first one is asked for. */
export class JobTexts {
  readonly #text: string;
  #spans: readonly Span[] | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text of the job in `job` (index 0), or of one of `jobs`. */
  at(index: number): string {
    this.#spans ??= this.#find();
    const [start, end] = this.#spans[index] ?? [0, 0];
    return this.#text.slice(start, end);
  }

  #find(): readonly Span[] {
    let spans: readonly Span[] = [];
    for (const [key, start, end] of members(this.#text, 0)) {
      if (key === 'jobs') return Array.from(elements(this.#text, start));
      if (key === 'job') spans = [[start, end]];
    }
    return spans;
  }
}
