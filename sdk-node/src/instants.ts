/**
 * Instants and durations at the edge of the wire: Date ⇄ RFC 3339, milliseconds ⇄ whole milliseconds in range.
 */

import { ValidationError } from './errors.ts';
import { LIMITS } from './limits.ts';

// The seconds, their fraction, and Z or an offset.
const INSTANT = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;

/** RFC 3339 text, of whose fraction a Date keeps three digits; null for anything else. */
export function parseInstant(text: string): Date | null {
  const match = INSTANT.exec(text);
  if (match === null) return null;
  const [, seconds = '', fraction = '', zone = ''] = match;
  const millis = fraction.slice(0, 3).padEnd(3, '0');
  const found = new Date(`${seconds}.${millis}${zone}`.toUpperCase());
  return Number.isNaN(found.getTime()) ? null : found;
}

/** RFC 3339 in UTC, ending in Z, with milliseconds; *name* is the argument that a refusal names. */
export function formatInstant(instant: Date, name: string): string {
  if (!(instant instanceof Date) || Number.isNaN(instant.getTime())) {
    throw new ValidationError('VALIDATION_ERROR', `${name} must be a valid Date`);
  }
  return instant.toISOString();
}

/** Whole milliseconds, rounded up so that something above 0 never becomes 0. */
export function wholeMs(ms: number, name: string): number {
  if (!Number.isFinite(ms) || ms < 0) {
    throw new ValidationError(
      'VALIDATION_ERROR',
      `${name} must be a number of milliseconds, 0 or more, got ${ms}`,
    );
  }
  if (ms > LIMITS.duration_ms) {
    throw new ValidationError('VALIDATION_ERROR', `${name} must be at most ${LIMITS.duration_ms}`);
  }
  return Math.ceil(Math.round(ms * 1000) / 1000); // so that the error of a computed 0.1 + 0.2 is no millisecond more
}
