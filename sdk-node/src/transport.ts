/**
 * What the client asks of a transport, and the words in which every transport reports a failed connection.
 *
 * Rule 1: a Reply belongs to the Request it is returned for, also after other calls timed out or were aborted.
 * Rule 2: errors of sockets end here; callers see TransportError, RequestTimeoutError or ProtocolError.
 * Rule 3: a transport never repeats a request; the client decides that.
 */

import { errorFor, type JobwireError, RequestTimeoutError, TransportError } from './errors.ts';
import type { Reply, Request } from './request.ts';

/**
 * Called with the name of a notice (job.cancel, lease.lost, goaway) and its fields. It must return at once: it runs
 * where the answers of all other calls are read.
 */
export type NoticeCallback = (name: string, fields: Readonly<Record<string, unknown>>) => void;

export interface SendOptions {
  /** For the connection, if one is needed, and the answer. */
  readonly timeoutMs: number;
  /** Ends the call with `signal.reason`; its late answer reaches nobody else. */
  readonly signal?: AbortSignal | undefined;
}

/** Carries requests, any number at a time. */
export interface Transport {
  /** True when the server answers a waiting pull at once (RustQueue), so that the client has to ask again. */
  readonly polls: boolean;
  /** The answer to *request*. */
  send(request: Request, options: SendOptions): Promise<Reply>;
  /** Have *callback* called with each notice; what comes back ends that. */
  subscribe(callback: NoticeCallback): () => void;
  /** Have requests that wait on the server's side (pull, heartbeatBatch) answered soon, as if their time were up. */
  interrupt(): void;
  /** Close the connections on which nothing is in flight; for who has found another one to the same server dead. */
  closeIdle(): void;
  /** Close every connection; calls in flight reject with CLIENT_CLOSED. Idempotent. */
  close(): Promise<void>;
}

/** The callbacks of a transport's subscribers. */
export class Notices {
  #callbacks: readonly NoticeCallback[] = [];

  subscribe(callback: NoticeCallback): () => void {
    const own: NoticeCallback = (name, fields) => callback(name, fields); // so that one may subscribe twice
    this.#callbacks = [...this.#callbacks, own];
    return () => {
      this.#callbacks = this.#callbacks.filter((one) => one !== own);
    };
  }

  tell(name: string, fields: Readonly<Record<string, unknown>>): void {
    for (const callback of this.#callbacks) callback(name, fields);
  }
}

export function clientClosed(): TransportError {
  return new TransportError('CLIENT_CLOSED', 'the client was closed');
}

export function timedOut(timeoutMs: number, where: string): RequestTimeoutError {
  return new RequestTimeoutError('TIMEOUT', `no answer from ${where} within ${timeoutMs} ms`);
}

export function connectionLost(where: string, why = ''): TransportError {
  const reason = why && `: ${why}`;
  return new TransportError('CONNECTION_LOST', `the connection to ${where} was lost${reason}`);
}

export function connectionFailed(
  where: string,
  why: string,
  options: { retryable?: boolean; cause?: unknown } = {},
): TransportError {
  return new TransportError('CONNECTION_FAILED', `cannot connect to ${where}: ${why}`, options);
}

/** What *error*, which ended a handshake, means for the request that was to follow: it was never sent. */
export function beforeReady(where: string, error: JobwireError): JobwireError {
  const unsent = error.code === 'CONNECTION_LOST' || error.code === 'TIMEOUT';
  return unsent ? connectionFailed(where, error.message) : error;
}

export function notProcessed(): JobwireError {
  return errorFor('SHUTTING_DOWN', 'the server said goodbye before it read the request');
}

/** An error for each of several calls that fail for one reason: a stack of its own, and the same words. */
export function copyOf(error: JobwireError): JobwireError {
  return errorFor(error.code, error.message, error);
}
