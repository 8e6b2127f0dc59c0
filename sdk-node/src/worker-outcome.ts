/**
 * How a handler ended, and what to tell the server: ack, fail, release, or nothing. No I/O, no clock.
 *
 *     returned a value          Ack with that result
 *     threw Discard, RetryIn    Fail as it says
 *     threw Release             GiveBack
 *     threw Stopped             as the reason for which the handler was asked to stop wants it
 *     threw anything else       Fail with type, message and stack
 */

import { isJobwireError } from './errors.ts';
import { cutUtf8 } from './fields.ts';
import { LIMITS } from './limits.ts';
import type { Job } from './models.ts';
import { Discard, HandlerOutcome, Release, RetryIn } from './outcomes.ts';
import { encode } from './strict-json.ts';

/** Why a handler should stop. */
export type StopReason = 'cancel' | 'lease_lost' | 'timeout' | 'shutdown';

/** Largest result that a server takes, in bytes of JSON; a larger one would spoil the batch that it travels in. */
export const RESULT_BYTES = 1_048_576;

const ERROR_BYTES = LIMITS.error_bytes;
const CAUSES = 3; // of an error that are told; "fetch failed" alone helps nobody
const HERE = import.meta.url.slice(0, import.meta.url.lastIndexOf('/') + 1);

/**
 * The reason of a handler's AbortSignal, and what `ctx.check()` throws: the job is given up in the way the reason asks for.
 *
 * After cancel the job ends cancelled, after shutdown it goes back without burning an attempt, after a timeout the attempt
 * has failed, and after a lost lease nothing is said.
 */
export class Stopped extends HandlerOutcome {
  override readonly name = 'Stopped';
  readonly reason: StopReason | '';

  constructor(reason: StopReason | '' = '') {
    super(reason);
    this.reason = reason;
  }
}

/** The handler came to its end, with *value* or by throwing *error*. */
export type Ending =
  | { readonly returned: true; readonly value: unknown }
  | { readonly returned: false; readonly error: unknown };

/** The job is done. `size` is the bytes of the result's JSON, `result` undefined when there is none. */
export interface Ack {
  readonly kind: 'ack';
  readonly job: Job;
  readonly result: unknown;
  readonly size: number;
}

/** The attempt failed. */
export interface Fail {
  readonly kind: 'fail';
  readonly job: Job;
  readonly error: string;
  readonly size: number;
  readonly retryInMs?: number;
  readonly discard?: boolean;
}

/** Somebody else may have the job; no attempt is burnt. */
export interface GiveBack {
  readonly kind: 'release';
  readonly job: Job;
  readonly size: number;
  readonly delayMs: number;
}

export type Settlement = Ack | Fail | GiveBack;

export function fail(
  job: Job,
  error: string,
  more: { readonly retryInMs?: number; readonly discard?: boolean } = {},
): Fail {
  return { kind: 'fail', job, error, size: 4 * error.length, ...more };
}

export function giveBack(job: Job, delayMs = 0): GiveBack {
  return { kind: 'release', job, size: 0, delayMs };
}

/**
 * What to tell the server about *job*; null when its lease is lost, since then others speak for it.
 *
 * *reason* is why the handler was asked to stop, null when it was not. A value that is returned is an ack even then: the
 * work was done, and the server decides whether the ack still counts.
 */
export function settlementOf(
  job: Job,
  ending: Ending,
  reason: StopReason | null,
): Settlement | null {
  if (reason === 'lease_lost') return null;
  if (ending.returned) return ackOf(job, ending.value);
  const { error } = ending;
  if (error instanceof Stopped || (reason !== null && isAbort(error))) return stopped(job, reason);
  if (error instanceof HandlerOutcome) return byOutcome(job, error);
  // Whatever broke on the way out, the job did not do it.
  return reason === 'shutdown' ? giveBack(job) : fail(job, errorText(error));
}

function ackOf(job: Job, value: unknown): Settlement {
  if (value === undefined) return { kind: 'ack', job, result: undefined, size: 0 };
  let size: number;
  try {
    size = Buffer.byteLength(encode(value));
  } catch (error) {
    return fail(job, `the handler's result cannot be kept: ${messageOf(error)}`);
  }
  if (size > RESULT_BYTES) {
    return fail(job, `the handler's result has ${size} bytes, the limit is ${RESULT_BYTES}`);
  }
  return { kind: 'ack', job, result: value, size };
}

function stopped(job: Job, reason: StopReason | null): Settlement {
  if (reason === 'timeout') return fail(job, 'job timed out');
  if (reason === null) return fail(job, 'the handler stopped, though nobody had asked for it');
  return giveBack(job); // after a cancel the server makes `cancelled` of it
}

/**
 * Whether *error* is what code throws that was given the handler's signal: the signal's reason itself (fetch), or an
 * AbortError (node:timers/promises, node:events and most libraries).
 */
export function isAbort(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  return error.name === 'AbortError' || code === 'ABORT_ERR' || cause instanceof Stopped;
}

function byOutcome(job: Job, outcome: HandlerOutcome): Settlement {
  if (outcome instanceof Discard) {
    return fail(job, said(outcome.reason) || 'discarded by the handler', { discard: true });
  }
  if (outcome instanceof RetryIn) {
    const { ms } = outcome;
    return fail(job, said(outcome.reason) || `retry in ${ms} ms`, { retryInMs: ms });
  }
  return outcome instanceof Release
    ? giveBack(job, outcome.delayMs)
    : fail(job, errorText(outcome));
}

/** A reason as text. `throw new Discard(error)` is easily written in JavaScript, and must not stop the settler. */
function said(reason: unknown): string {
  return cutUtf8(reason instanceof Error ? headline(reason) : text(reason), ERROR_BYTES);
}

/** The verdict on a job without a handler: retryable, for the next worker may be of a newer deploy. */
export function unknownName(job: Job, known: Iterable<string>): Fail {
  const names = [...known].sort().join(', ') || 'none';
  return fail(job, `no handler for '${job.name}' on this worker; it has: ${names}`);
}

/** Type, message, causes and stack, cut to what the wire takes: the head and the innermost frames stay. */
export function errorText(error: unknown): string {
  const head = cutUtf8(heads(error), ERROR_BYTES / 2);
  const frames = ownFrames(error);
  return frames ? cutUtf8(`${head}\n\n${frames}`, ERROR_BYTES).trimEnd() : head;
}

function heads(error: unknown): string {
  const lines = [headline(error)];
  let cause: unknown = error;
  while (lines.length <= CAUSES && cause instanceof Error && cause.cause !== undefined) {
    cause = cause.cause;
    lines.push(`caused by ${headline(cause)}`);
  }
  return lines.join('\n');
}

function headline(error: unknown): string {
  if (!(error instanceof Error)) return text(error);
  try {
    const name = error.name === 'Error' ? error.constructor.name : error.name; // few classes set theirs
    return error.message ? `${name}: ${error.message}` : name;
  } catch {
    return 'Error: (its message could not be read)'; // a getter may do anything, and its job must still fail
  }
}

function messageOf(error: unknown): string {
  return isJobwireError(error) ? error.message : headline(error); // a value's own toJSON may throw anything
}

function text(value: unknown): string {
  try {
    return String(value ?? '');
  } catch {
    return '(it could not be made a text)'; // an object without a prototype, or whose toString throws
  }
}

/** The frames of the stack without those of this package and of Node, which say nothing about the handler. */
function ownFrames(error: unknown): string {
  let stack: unknown;
  try {
    stack = error instanceof Error && error.stack;
  } catch {
    return ''; // it is made when it is read, from a message that may throw
  }
  if (typeof stack !== 'string') return '';
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  return frames.filter((line) => !line.includes(HERE) && !/\bnode:/.test(line)).join('\n');
}
