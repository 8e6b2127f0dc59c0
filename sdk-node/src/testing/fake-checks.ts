/**
 * How the fake server checks a value: each function here makes a check, which gives the value to use or throws Refused with
 * the JSON pointer of what is wrong. Pure.
 */

import { parseInstant } from '../instants.ts';
import { invalid, Refused } from './fake-job.ts';
import { Fraction, Payload } from './fake-json.ts';

/** Gives *value* as it is to be used; *pointer* is where it stands. */
export type Check<T = unknown> = (value: unknown, pointer: string) => T;

/** How a value is checked, and whether it must be there. */
export interface Field {
  readonly check: Check;
  readonly isRequired: boolean;
}

export type Members = Record<string, unknown>;

export const JSON_DEPTH = 128;
export const METADATA_BYTES = 65_536;
const NAME = /^[A-Za-z0-9._-]+$/;

export function field(check: Check): Field {
  return { check, isRequired: false };
}

export function required(check: Check): Field {
  return { check, isRequired: true };
}

export function misshapen(pointer: string, expected: string): Refused {
  return invalid(pointer, `${pointer} must be ${expected}`, { expected }, 422);
}

/** A string of at most *maxBytes*; one that is `named` is the name of a queue or a job. */
export function text(
  maxBytes: number,
  { named = false, oneOf }: { readonly named?: boolean; readonly oneOf?: readonly string[] } = {},
): Check<string> {
  return (value, pointer) => {
    if (typeof value !== 'string') throw misshapen(pointer, 'a string');
    if (Buffer.byteLength(value) > maxBytes) {
      throw invalid(pointer, `${pointer} is longer than ${maxBytes} bytes`, { limit: maxBytes });
    }
    if (named && !NAME.test(value)) throw invalid(pointer, `${pointer} must match [A-Za-z0-9._-]+`);
    if (oneOf !== undefined && !oneOf.includes(value)) {
      throw invalid(pointer, `${pointer} must be one of ${oneOf.join(', ')}`, { expected: oneOf });
    }
    return value;
  };
}

export function integer(low: number, high: number): Check<number> {
  return (value, pointer) => {
    if (typeof value !== 'number') throw misshapen(pointer, 'an integer'); // 7.0 is a Fraction
    if (!(low <= value && value <= high)) {
      throw invalid(pointer, `${pointer} must be ${low} to ${high}`, { limit: high });
    }
    return value;
  };
}

export function number(low: number, high: number): Check<number> {
  return (value, pointer) => {
    const found = value instanceof Fraction ? Number(value.text) : value;
    if (typeof found !== 'number') throw misshapen(pointer, 'a number');
    if (!(low <= found && found <= high)) {
      throw invalid(pointer, `${pointer} must be ${low} to ${high}`);
    }
    return found;
  };
}

export const flag: Check<boolean> = (value, pointer) => {
  if (typeof value !== 'boolean') throw misshapen(pointer, 'a boolean');
  return value;
};

/** A time; milliseconds since the epoch from here on. */
export const moment: Check<number> = (value, pointer) => {
  if (typeof value !== 'string') throw misshapen(pointer, 'a time');
  const found = parseInstant(value);
  const day = value.slice(0, 10);
  // JavaScript takes the 30th of February for the 2nd of March.
  if (found === null || !new Date(`${day}T00:00:00Z`).toISOString().startsWith(day)) {
    throw invalid(pointer, `${pointer} is no RFC 3339 time with an offset`);
  }
  return found.getTime();
};

/** An id in its one spelling. */
export const uuid: Check<string> = (value, pointer) => {
  if (typeof value !== 'string') throw misshapen(pointer, 'a UUID');
  const hex = value
    .replace(/^urn:uuid:/i, '')
    .replace(/^{(.*)}$/, '$1')
    .replaceAll('-', '')
    .toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(hex)) throw invalid(pointer, `${pointer} is no UUID`);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
};

/** Any JSON value within its size and depth. A null is null. */
export function payload(maxBytes: number): Check<Payload | null> {
  return (value, pointer) => {
    if (!(value instanceof Payload)) return null;
    const size = Buffer.byteLength(value.text);
    if (size > maxBytes) {
      const message = `${pointer} (${size} bytes) exceeds maximum of ${maxBytes} bytes`;
      throw invalid(pointer, message, { limit: maxBytes });
    }
    if (value.depth > JSON_DEPTH) {
      const message = `Invalid JSON: ${pointer} is nested more than ${JSON_DEPTH} levels deep`;
      throw new Refused('PARSE_ERROR', message);
    }
    return value;
  };
}

/** JSON without RustQueue's follow_ups, which nobody would carry out (JW-PUSH-17). */
export const metadata: Check<Payload | null> = (value, pointer) => {
  const checked = payload(METADATA_BYTES)(value, pointer);
  const said: unknown = checked && JSON.parse(checked.text);
  const isObject = typeof said === 'object' && said !== null && !Array.isArray(said);
  if (isObject && Object.hasOwn(said, 'follow_ups')) {
    throw invalid(`${pointer}/follow_ups`, 'follow_ups are not supported by this server');
  }
  return checked;
};

export function list<T>(item: Check<T>, maxItems: number): Check<T[]> {
  return (value, pointer) => {
    if (!Array.isArray(value)) throw misshapen(pointer, 'a list');
    if (value.length > maxItems) {
      throw invalid(pointer, `${pointer} has over ${maxItems} items`, { limit: maxItems });
    }
    return value.map((each, index) => item(each, `${pointer}/${index}`));
  };
}

/** Ids of jobs, each once. */
export const parentIds: Check<string[]> = (value, pointer) => [
  ...new Set(list(uuid, 256)(value, pointer)),
];

/** An object with these fields and no others. */
export function record(fields: Readonly<Record<string, Field>>): Check<Members> {
  return (value, pointer) => {
    const given = asMembers(value, pointer);
    for (const name of Object.keys(given)) {
      if (Object.hasOwn(fields, name)) continue;
      throw invalid(`${pointer}/${name}`, `unknown field '${name}'`, {}, 422);
    }
    const checked: Members = {};
    for (const [name, { isRequired }] of Object.entries(fields)) {
      const isMissing = given[name] === undefined || given[name] === null;
      if (isRequired && isMissing) {
        throw invalid(`${pointer}/${name}`, `missing field '${name}'`, {}, 422);
      }
    }
    for (const [name, each] of Object.entries(given)) {
      if (each === null && !NULL_MEANS_NULL.has(name)) continue;
      checked[name] = fields[name]?.check(each, `${pointer}/${name}`);
    }
    return checked;
  };
}

// A null in one of these is a value of its own, not a field left out.
const NULL_MEANS_NULL: ReadonlySet<string> = new Set(['data', 'result']);

/** *value* as the object that it has to be. */
export function asMembers(value: unknown, pointer: string): Members {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject || value instanceof Payload || value instanceof Fraction) {
    throw misshapen(pointer, 'an object');
  }
  return value as Members;
}
