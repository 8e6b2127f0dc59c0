/**
 * Everything that this package throws, and the three ways in which a handler ends a job other than by returning.
 *
 *     Error
 *     ├── JobwireError            code, message, details, requestId, retryable, retryAfterMs, status
 *     │   ├── ValidationError     fix the request; retrying cannot help
 *     │   ├── NotFoundError       the thing is not there
 *     │   ├── ConflictError       someone else was first, or the state forbids it
 *     │   ├── AuthError           fix the token or the origin
 *     │   ├── RateLimitedError    wait for retryAfterMs and try again
 *     │   ├── UnavailableError    try again with backoff, with the same id
 *     │   ├── ProtocolError       the peer does not speak this protocol
 *     │   ├── TransportError      the connection failed; try again with the same id
 *     │   └── RequestTimeoutError no answer in time; the request may have been carried out
 *     └── HandlerOutcome          thrown by a handler: Discard, RetryIn, Release
 *
 * Rule 1: the class says what a caller does next, `code` says what happened; codes are API, messages are not.
 * Rule 2: no error ever shows a token, a payload or a URL with credentials.
 */

import { type Category, ERROR_CODES, type ErrorInfo } from './error-codes.ts';

const CODES: Readonly<Record<string, ErrorInfo>> = ERROR_CODES;

// Codes after which the server has provably not carried the request out.
const NOTHING_DONE: ReadonlySet<string> = new Set([
  'CONNECTION_FAILED',
  'OVERLOADED',
  'QUEUE_FULL',
  'QUEUE_PAUSED',
  'RATE_LIMITED',
  'REQUEST_TIMEOUT', // the request had not arrived in full
  'SHUTTING_DOWN',
  'STORAGE_FULL',
]);

/** What an error can be made with besides its code and message. */
export interface JobwireErrorOptions {
  /** What the server adds, such as `pointer` or `existing_id`. @default {} */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /** The server's name for the request, for its log. @default null */
  readonly requestId?: string | null | undefined;
  /** @default what the catalogue says of the code */
  readonly retryable?: boolean | undefined;
  /** How long the server asks to wait first. @default null */
  readonly retryAfterMs?: number | null | undefined;
  /** The HTTP status. @default null */
  readonly status?: number | null | undefined;
  /** The error that led to this one. */
  readonly cause?: unknown;
}

/** A request failed. Tell cases apart by `code`, one of spec/errors.yaml or a newer server's. */
export class JobwireError extends Error {
  override readonly name: string = 'JobwireError';
  /** What happened, stable. */
  readonly code: string;
  /** What the server adds, such as `pointer` or `existing_id`; empty when it adds nothing. */
  readonly details: Readonly<Record<string, unknown>>;
  /** The server's name for the request, for its log; null over TCP. */
  readonly requestId: string | null;
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean;
  /** How long the server asks to wait first; null when it does not say. */
  readonly retryAfterMs: number | null;
  /** The HTTP status; null over TCP and for errors of the client itself. */
  readonly status: number | null;

  constructor(code: string, message = '', options: JobwireErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = { ...options.details };
    this.requestId = options.requestId ?? null;
    this.retryable = options.retryable ?? knownCode(code)?.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.status = options.status ?? null;
  }

  override toString(): string {
    return this.message ? `${this.code}: ${this.message}` : this.code;
  }
}

/** The request breaks a rule; retrying cannot help. `details.pointer` names the field when it is known. */
export class ValidationError extends JobwireError {
  override readonly name = 'ValidationError';
}

/** The job or the route is not there. */
export class NotFoundError extends JobwireError {
  override readonly name = 'NotFoundError';
}

/** Someone else was first, or the job's state forbids it. LEASE_LOST: stop working on the job. */
export class ConflictError extends JobwireError {
  override readonly name = 'ConflictError';
}

/** The server wants a token, and this client sent none or a wrong one. */
export class AuthError extends JobwireError {
  override readonly name = 'AuthError';
}

/** Too many, for now; wait for `retryAfterMs`. */
export class RateLimitedError extends JobwireError {
  override readonly name = 'RateLimitedError';
}

/** The server cannot do it now; try again with backoff, with the same id. */
export class UnavailableError extends JobwireError {
  override readonly name = 'UnavailableError';
}

/** The peer's bytes are not of this protocol; check the address and the versions. */
export class ProtocolError extends JobwireError {
  override readonly name = 'ProtocolError';
}

/** The connection could not be made (CONNECTION_FAILED), was lost (CONNECTION_LOST), or is closed (CLIENT_CLOSED). */
export class TransportError extends JobwireError {
  override readonly name = 'TransportError';
}

/** No answer in time. The request may have been carried out; try again with the same id. */
export class RequestTimeoutError extends JobwireError {
  override readonly name = 'RequestTimeoutError';
}

type ErrorClass = new (
  code: string,
  message?: string,
  options?: JobwireErrorOptions,
) => JobwireError;

const CLASSES: Readonly<Record<Category, ErrorClass>> = {
  validation: ValidationError,
  not_found: NotFoundError,
  conflict: ConflictError,
  auth: AuthError,
  rate_limited: RateLimitedError,
  unavailable: UnavailableError,
  protocol: ProtocolError,
  transport: TransportError,
  timeout: RequestTimeoutError,
};

// For codes of a newer server, which the catalogue of this version lacks.
const BY_STATUS: Readonly<Record<number, ErrorClass>> = {
  400: ValidationError,
  401: AuthError,
  403: AuthError,
  404: NotFoundError,
  405: ValidationError,
  408: UnavailableError,
  409: ConflictError,
  410: NotFoundError,
  413: ValidationError,
  415: ValidationError,
  422: ValidationError,
  429: RateLimitedError,
};

function knownCode(code: string): ErrorInfo | undefined {
  return Object.hasOwn(CODES, code) ? CODES[code] : undefined;
}

/** The category that the catalogue gives *code*; undefined for a code of a newer server. */
export function categoryOf(code: string): Category | undefined {
  return knownCode(code)?.category;
}

/** The error of the class that the catalogue gives *code*; an unknown code goes by its status. */
export function errorFor(
  code: string,
  message = '',
  options: JobwireErrorOptions = {},
): JobwireError {
  return new (classOf(code, options))(code, message, options);
}

function classOf(code: string, { status, retryable }: JobwireErrorOptions): ErrorClass {
  const category = categoryOf(code);
  if (category !== undefined) return CLASSES[category];
  if (status == null) return retryable === true ? UnavailableError : JobwireError;
  return BY_STATUS[status] ?? (status >= 500 ? UnavailableError : JobwireError);
}

/**
 * The error for the `error` member of an answer.
 *
 * *error* is `{code, message, details, retryable, retry_after_ms}`, of which only `code` is needed; `retry_after_ms` is
 * finer than the `retryAfterMs` of a Retry-After header, and wins.
 */
export function fromResponse(error: unknown, reply: JobwireErrorOptions = {}): JobwireError {
  const given = (typeof error === 'object' && error !== null ? error : {}) as Record<
    string,
    unknown
  >;
  if (typeof given.code !== 'string') {
    return new ProtocolError('PROTOCOL_ERROR', 'the peer sent an error without a code', {
      status: reply.status,
    });
  }
  const { details, message, retryable } = given;
  return errorFor(given.code, typeof message === 'string' ? message : '', {
    ...reply,
    details: isObject(details) ? details : undefined,
    retryable: typeof retryable === 'boolean' ? retryable : undefined,
    retryAfterMs: duration(given.retry_after_ms) ?? reply.retryAfterMs,
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function duration(ms: unknown): number | undefined {
  return typeof ms === 'number' && Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

/** Whether *error* is a JobwireError, with this *code* if one is given. Works across copies of this package. */
export function isJobwireError(error: unknown, code?: string): error is JobwireError {
  if (!(error instanceof Error)) return false;
  const found = error as Partial<JobwireError>;
  if (typeof found.code !== 'string' || typeof found.retryable !== 'boolean') return false;
  return code === undefined || found.code === code;
}

/**
 * Whether the request that led to *error* was provably not carried out, and a repeat may help.
 *
 * True for a connection that could not be made and for refusals such as OVERLOADED or QUEUE_PAUSED; false after a timeout
 * or a lost connection, where the server may have done the work.
 */
export function safeToRetry(error: unknown): boolean {
  return isJobwireError(error) && error.retryable && NOTHING_DONE.has(error.code);
}
