/** The pieces of which the fake server's answers are made. */

import { ERROR_CODES, type ErrorInfo } from '../error-codes.ts';
import { DEFAULTS, LIMITS } from '../limits.ts';
import { VERSION } from '../version.ts';
import { SERVER_LIMITS } from './fake-fields.ts';
import {
  type Answer,
  type FakeJob,
  invalid,
  jobView,
  type Listening,
  Refused,
} from './fake-job.ts';
import type { FakeState } from './fake-state.ts';

export const WIRE_VERSIONS: readonly number[] = [1, 2];
export const SERVER = { name: 'jobwire-fake', version: VERSION } as const;

const CODES: Readonly<Record<string, ErrorInfo>> = ERROR_CODES;
// What a queue counts; `failed` is a state of RustQueue that no job has here.
const COUNTED = [
  'waiting',
  'active',
  'delayed',
  'completed',
  'failed',
  'dlq',
  'blocked',
  'cancelled',
];

/** Who asks: the door, the wire version and session of a TCP connection, and the client's name. */
export interface Caller {
  readonly door: 'http' | 'tcp' | 'inline';
  readonly version: number;
  readonly session: Listening | null;
  readonly client: string | null;
}

/** An operation on what the server knows, with checked fields. */
export type Operation<F> = (state: FakeState, fields: F, caller: Caller) => Answer;

/** The error object of an answer. */
export function errorView(refusal: Refused): Answer {
  return {
    code: refusal.code,
    message: refusal.message,
    details: refusal.details,
    retryable: CODES[refusal.code]?.retryable ?? false,
    retry_after_ms: refusal.retryAfterMs ?? undefined,
  };
}

/** The HTTP status of a refusal. */
export function statusOf(refusal: Refused): number {
  return refusal.status ?? CODES[refusal.code]?.status ?? 500;
}

/** *operation* on each of *items*: an outcome each, whether it was refused or not. */
export function each<F extends { readonly id: string }>(
  items: readonly F[],
  operation: (item: F) => Answer,
): Answer[] {
  return items.map((item) => {
    try {
      return { id: item.id, ok: true, ...operation(item) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return refusedItem(item.id, error);
    }
  });
}

export function refusedItem(id: string | null, refusal: Refused): Answer {
  return { id, ok: false, error: errorView(refusal) };
}

export function countOk(results: readonly Answer[]): number {
  return results.filter((result) => result.ok).length;
}

/** *answer*, saying so when the same had been said before. */
export function alreadyOr(already: boolean, answer: Answer): Answer {
  return already ? { ...answer, already } : answer;
}

export function countsOf(jobs: readonly FakeJob[]): Answer {
  const counts = Object.fromEntries(COUNTED.map((state) => [state, 0]));
  for (const { state } of jobs) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

/** What hello and capabilities say about the server. */
export function announced(): Answer {
  return {
    capabilities: ['wait', 'notices'],
    limits: { ...LIMITS, ...SERVER_LIMITS },
    defaults: DEFAULTS,
  };
}

/**
 * One page of *jobs*, which stand with the greatest *key* first.
 *
 * The cursor is the key of the last job of the page before, which need not match any more (JW-FIND-2).
 */
export function pageOf(
  jobs: readonly FakeJob[],
  { cursor, limit = DEFAULTS.find_limit }: { readonly cursor?: string; readonly limit?: number },
  key: (job: FakeJob) => readonly number[],
): Answer {
  const after = cursor === undefined ? null : keyOf(cursor);
  const rest = after === null ? jobs : jobs.filter((job) => isBefore(key(job), after));
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const hasMore = last !== undefined && rest.length > page.length;
  return {
    jobs: page.map((job) => jobView(job)),
    next_cursor: hasMore ? key(last).join('.') : null,
  };
}

function keyOf(cursor: string): number[] {
  if (!/^\d+(\.\d+)*$/.test(cursor)) {
    throw invalid('/cursor', "the cursor is not one of this server's");
  }
  return cursor.split('.').map(Number);
}

/** Whether *key* is the smaller one. */
function isBefore(key: readonly number[], other: readonly number[]): boolean {
  for (const [at, part] of key.entries()) {
    const against = other[at] ?? -1;
    if (part !== against) return part < against;
  }
  return key.length < other.length;
}
