/** Members of requests: what was not given left out, durations checked and whole, jobs as ids and leases. */

import { wholeMs } from './instants.ts';
import { LIMITS } from './limits.ts';
import type { JobRef } from './models.ts';
import { invalid } from './request.ts';

export type Fields = Record<string, unknown>;

/** Options of a method but for the signal, which is not part of the request. */
export type Given<T> = Omit<T, 'signal'>;

/** *members* without those that were not given. */
export function present(members: Fields): Fields {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

export function ms(value: number | undefined, name: string): number | undefined {
  return value === undefined ? undefined : wholeMs(value, name);
}

export function leaseMs(value: number | undefined): number | undefined {
  const whole = ms(value, 'leaseMs');
  if (whole !== undefined && (whole < LIMITS.lease_ms_min || whole > LIMITS.lease_ms_max)) {
    const range = `${LIMITS.lease_ms_min} to ${LIMITS.lease_ms_max}`;
    throw invalid(`leaseMs must be ${range}, got ${value}`, 'lease_ms');
  }
  return whole;
}

export function waitMs(value: number): number | undefined {
  const whole = wholeMs(value, 'waitMs');
  if (whole > LIMITS.wait_ms) {
    throw invalid(`waitMs must be at most ${LIMITS.wait_ms}, got ${value}`, 'wait_ms');
  }
  return whole || undefined;
}

/** *text* cut to *limit* bytes of UTF-8, never inside a character; lone surrogates are written as escapes. */
export function cutUtf8(text: string, limit: number): string {
  const escaped = text.isWellFormed()
    ? text
    : text.replace(/\p{Surrogate}/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
  const { read } = new TextEncoder().encodeInto(escaped, new Uint8Array(limit));
  return escaped.slice(0, read);
}

/** The id, and the lease when *job* was pulled. */
export function jobRef(job: JobRef): Fields {
  if (typeof job === 'string') return { id: job };
  return present({ id: job.id, lease: job.lease ?? undefined });
}

export function jobId(job: JobRef): Fields {
  return { id: typeof job === 'string' ? job : job.id };
}
