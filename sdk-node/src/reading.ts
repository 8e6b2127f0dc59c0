/** Takes the members of an answer apart. What is missing or null is null; what has another type is Malformed. */

import { parseInstant } from './instants.ts';

/** An object of an answer. */
export type Wire = Readonly<Record<string, unknown>>;

/** An answer that is not what the specification says; `Request.read` makes a ProtocolError of it. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** *value*, which has to be there. */
export function needed<T>(value: T | null, key: string): T {
  if (value === null) throw new Malformed(`${key} is missing`);
  return value;
}

export function asObject(value: unknown, key: string): Wire {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Malformed(`${key} is not an object`);
  }
  return value as Wire;
}

export function asText(value: unknown, key: string): string {
  if (typeof value !== 'string') throw new Malformed(`${key} is not a string`);
  return value;
}

export function asNumber(value: unknown, key: string): number {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'number') throw new Malformed(`${key} is not a number`);
  return value;
}

export function object(wire: Wire, key: string): Wire | null {
  return optional(wire, key, asObject);
}

export function text(wire: Wire, key: string): string | null {
  return optional(wire, key, asText);
}

export function number(wire: Wire, key: string): number | null {
  return optional(wire, key, asNumber);
}

export function instant(wire: Wire, key: string): Date | null {
  const value = text(wire, key);
  if (value === null) return null;
  const found = parseInstant(value);
  if (found === null) throw new Malformed(`${key} is not an instant`);
  return found;
}

/** True only for `true`. */
export function flag(wire: Wire, key: string): boolean {
  return wire[key] === true;
}

/** Each element of a list by *each*; an absent list is empty. */
export function list<T>(
  wire: Wire,
  key: string,
  each: (value: unknown, key: string, index: number) => T,
): T[] {
  const value = wire[key] ?? [];
  if (!Array.isArray(value)) throw new Malformed(`${key} is not a list`);
  return value.map((one, index) => each(one, key, index));
}

function optional<T>(wire: Wire, key: string, as: (value: unknown, key: string) => T): T | null {
  const value = wire[key];
  return value === undefined || value === null ? null : as(value, key);
}
