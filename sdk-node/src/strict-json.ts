/**
 * JSON as the wire wants it: no NaN, no lone surrogates, nothing that JSON.stringify would quietly drop or change; and
 * answers read with integers of any size where that is asked for.
 *
 * Rule: whatever cannot be sent is refused here, as a ValidationError, before a byte leaves.
 */

import { ValidationError } from './errors.ts';
import { ExactReader } from './exact-json.ts';

const DEPTH = 1_000; // far beyond what a server takes; a circle ends here

/** Compact JSON. `toJSON` is honoured, undefined members are left out; a bigint is written as an integer. */
export function encode(value: unknown): string {
  return write(value, '', 0);
}

function write(value: unknown, key: string, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      if (!Number.isFinite(value)) throw refused(`${value} is not JSON`);
      return Object.is(value, -0) ? '-0' : String(value);
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'object':
      return value === null ? 'null' : writeObject(value, key, depth);
    default:
      throw refused(`${typeof value} is not JSON`);
  }
}

function writeObject(value: object, key: string, depth: number): string {
  if (depth >= DEPTH) throw refused('it is nested too deeply, or holds itself');
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') return write(toJSON.call(value, key), key, depth + 1);
  if (Array.isArray(value)) {
    return `[${value.map((each, index) => write(each, String(index), depth + 1)).join()}]`;
  }
  if (isOpaque(value)) throw refused(`a ${value.constructor.name} is not JSON`);
  const parts: string[] = [];
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined) continue;
    parts.push(`${quoted(name)}:${write(member, name, depth + 1)}`);
  }
  return `{${parts.join()}}`;
}

/** What JSON.stringify would write as `{}` or as a list of bytes, and lose what it holds. */
function isOpaque(value: object): boolean {
  return (
    value instanceof Map ||
    value instanceof Set ||
    value instanceof Promise ||
    value instanceof RegExp ||
    ArrayBuffer.isView(value)
  );
}

function quoted(text: string): string {
  if (!text.isWellFormed()) throw refused('it contains a lone surrogate');
  return JSON.stringify(text);
}

function refused(why: string): ValidationError {
  return new ValidationError('VALIDATION_ERROR', `the value cannot be sent as JSON: ${why}`);
}

/**
 * Strict JSON; SyntaxError when it is not. With *bigints*, integers beyond 2^53 become bigints.
 *
 * Of a key that an object has twice the last one counts, as for every reader of JSON in this language.
 */
export function decode(text: string, { bigints }: { readonly bigints: boolean }): unknown {
  const value: unknown = JSON.parse(text);
  if (!bigints || !/[0-9]{16}/.test(text)) return value;
  return new ExactReader(text).value(0);
}
