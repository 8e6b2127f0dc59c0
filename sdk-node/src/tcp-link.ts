/**
 * One TCP connection, from its handshake to its end, and the calls that are in flight on it.
 *
 * Rule 1: which answer belongs to which call is decided by the Session alone. A call that timed out or was aborted leaves
 *         its rid behind, and the late answer is dropped; jobs in the answer to an aborted one are given back.
 * Rule 2: a link that nobody waits on does not keep the process alive.
 * Rule 3: with a `silenceMs`, a server that says nothing for so long while a call is in flight is taken for gone, but asked
 *         first (JW-SDK-13, JW-SDK-14).
 */

import type { Socket } from 'node:net';
import type { Endpoint } from './endpoint.ts';
import type { JobwireError } from './errors.ts';
import type { Log } from './log.ts';
import type { Reply } from './request.ts';
import { connectError, connectedEvent, openSocket, reasonOf, SILENCE_MS } from './sockets.ts';
import type { Event } from './tcp-events.ts';
import { Session } from './tcp-session.ts';
import { Watch } from './tcp-watch.ts';
import {
  beforeReady,
  connectionFailed,
  connectionLost,
  copyOf,
  type Notices,
  notProcessed,
  timedOut,
} from './transport.ts';

/** Bytes that may wait for a slow peer before callers do. */
const MAX_UNSENT = 1024 * 1024;

/** One caller and what it waits for. */
interface Call {
  readonly rid: number;
  readonly waits: boolean;
  readonly sentAt: number;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (reason: unknown) => void;
}

export interface LinkCallOptions {
  /** Whether the server may hold the answer back by design. */
  readonly waits: boolean;
  /** What is left of `timeoutMs`. */
  readonly leftMs: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export class TcpLink {
  /** Resolves when the handshake is over; rejects when there will be none. */
  readonly ready: Promise<void>;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  readonly #endpoint: Endpoint;
  readonly #notices: Notices;
  readonly #log: Log;
  readonly #socket: Socket;
  readonly #session: Session;
  readonly #watch: Watch | null;
  readonly #calls = new Map<number, Call>();
  readonly #stalled = new Set<() => void>(); // callers that wait until the peer takes more
  #isReady = false;
  #heardAt = Number.NEGATIVE_INFINITY;
  #unsent = ''; // what is written in this turn of the event loop, to leave in one piece
  #error: JobwireError | null = null;
  #settleReady: { resolve: () => void; reject: (error: JobwireError) => void };

  constructor(endpoint: Endpoint, notices: Notices, log: Log, silenceMs: number | null = null) {
    this.#endpoint = endpoint;
    this.#notices = notices;
    this.#log = log;
    this.#session = new Session(endpoint);
    this.#watch = silenceMs === null ? null : new Watch(silenceMs, this);
    this.#settleReady = { resolve: () => {}, reject: () => {} };
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.ready.catch(() => {}); // it may end when nobody looks any more
    this.#socket = openSocket(endpoint);
    this.closed = new Promise((resolve) => {
      this.#socket.once('close', resolve);
    });
    this.#listen();
  }

  get version(): number {
    return this.#session.version;
  }

  get isUsable(): boolean {
    return this.#error === null && !this.#session.isDraining;
  }

  get isBusy(): boolean {
    return this.#calls.size > 0;
  }

  /** Whether the peer takes what it is sent; else callers wait, see `untilWritable`. */
  get isWritable(): boolean {
    return this.#socket.writableLength + this.#unsent.length < MAX_UNSENT;
  }

  /** Wait for a slow peer, which is not sent more than it takes; one that takes nothing is given up. */
  async untilWritable(leftMs: number, signal?: AbortSignal): Promise<void> {
    const isDrained = await new Promise<boolean>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#stalled.delete(done);
        resolve(this.isWritable || !this.isUsable);
      };
      const timer = setTimeout(done, leftMs);
      signal?.addEventListener('abort', done);
      this.#stalled.add(done);
    });
    signal?.throwIfAborted();
    if (isDrained) return;
    this.lose('the server stopped reading');
    throw connectionFailed(String(this.#endpoint), 'it takes no more requests');
  }

  /** Send a request, and give its answer. ValidationError, at once, for one that the server would refuse to read. */
  call(cmd: string, payload: string, options: LinkCallOptions): Promise<Reply> {
    const [rid, line] = this.#session.send(cmd, payload);
    if (!this.isBusy) this.#watch?.start();
    this.#socket.ref();
    this.#write(line);
    return new Promise((resolve, reject) => {
      const { signal, timeoutMs } = options;
      const call = { rid, waits: options.waits, sentAt: performance.now() };
      const timer = setTimeout(() => this.#expire(rid, timeoutMs), options.leftMs);
      const abort = (): void => this.#leave(rid, signal?.reason);
      const finish = <T>(settle: (value: T) => void): ((value: T) => void) => {
        return (value) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
          settle(value);
        };
      };
      this.#calls.set(rid, { ...call, resolve: finish(resolve), reject: finish(reject) });
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Have the calls that wait on the server's side answered. */
  interrupt(): void {
    for (const call of this.#calls.values()) {
      if (call.waits) this.#write(this.#session.abort(call.rid));
    }
  }

  /** See whether the server is there. Nobody waits for the answer, nor is it a call in flight. */
  ping(): void {
    this.#write(this.#session.ping());
  }

  /** Give the connection up, unless a call is in flight. */
  endIfIdle(): void {
    if (this.#calls.size === 0) this.lose('it was idle, and another one dead');
  }

  /** Give the connection up for *why*. */
  lose(why: string): void {
    this.end(connectionLost(String(this.#endpoint), why));
  }

  /** Give the connection up; all calls fail with *error*. */
  end(error: JobwireError): void {
    if (this.#error !== null) return;
    this.#error = error;
    this.#watch?.stop();
    this.#unsent = '';
    this.#socket.destroy();
    this.#settleReady.reject(beforeReady(String(this.#endpoint), error));
    this.#wake();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.reject(copyOf(error));
  }

  /** The call of *rid*, which is over for its caller. */
  #take(rid: number): Call | undefined {
    const call = this.#calls.get(rid);
    this.#calls.delete(rid);
    if (!this.isBusy) this.#socket.unref();
    return call;
  }

  /**
   * The time of a call is up.
   *
   * A peer of which nothing was heard since the call was sent, or lately, is taken for gone, and the connection with it:
   * it may be half open.
   */
  #expire(rid: number, timeoutMs: number): void {
    const call = this.#take(rid);
    if (call === undefined) return;
    call.reject(timedOut(timeoutMs, String(this.#endpoint)));
    const trustedSince = Math.max(call.sentAt, performance.now() - SILENCE_MS);
    if (this.#session.abandon(rid) || this.#heardAt <= trustedSince) {
      this.lose('the server stopped answering');
    }
  }

  /** The caller has left; a pull that waits is called off, so that it takes no job with it. */
  #leave(rid: number, reason: unknown): void {
    const call = this.#take(rid);
    if (call === undefined) return;
    call.reject(reason);
    if (this.#session.abandon(rid, { aborted: true })) {
      this.lose('a call in flight was aborted');
    } else if (call.waits) {
      this.#write(this.#session.abort(rid));
    }
  }

  /** What is written in one turn of the event loop leaves as one piece: calls made side by side share a segment. */
  #write(text: string): void {
    if (text === '' || this.#error !== null) return;
    if (this.#unsent === '') queueMicrotask(() => this.#flush());
    this.#unsent += text;
  }

  #flush(): void {
    const text = this.#unsent;
    this.#unsent = '';
    if (text !== '' && this.#error === null) this.#socket.write(text);
    if (this.isWritable) this.#wake(); // what was taken at once is followed by no `drain`
  }

  #wake(): void {
    for (const done of this.#stalled) done();
  }

  // --- the socket's events ------------------------------------------------------------------------------------------

  #listen(): void {
    const where = String(this.#endpoint);
    this.#socket.once(connectedEvent(this.#endpoint), () => this.#write(this.#session.hello()));
    this.#socket.on('data', (chunk: Uint8Array) => this.#receive(chunk));
    this.#socket.on('drain', () => this.#wake());
    this.#socket.on('end', () => this.lose('the server closed it'));
    this.#socket.on('close', () => this.lose('the server closed it'));
    this.#socket.on('error', (error) => {
      const isOpen = this.#isReady || this.#heardAt > 0;
      this.end(
        isOpen ? connectionLost(where, reasonOf(error)) : connectError(this.#endpoint, error),
      );
    });
  }

  #receive(chunk: Uint8Array): void {
    this.#heardAt = performance.now();
    this.#watch?.heard(this.#heardAt);
    for (const event of this.#session.feed(chunk)) {
      if (this.#error === null) this.#handle(event);
    }
    this.#write(this.#session.outgoing());
    if (this.#session.isDraining && this.#session.inFlight === 0) {
      this.lose('the server said goodbye');
    }
  }

  #handle(event: Event): void {
    switch (event.type) {
      case 'answered':
        this.#take(event.rid)?.resolve(replyOf(event.body, event.text));
        break;
      case 'unprocessed':
        this.#take(event.rid)?.reject(notProcessed());
        break;
      case 'late':
        this.#write(this.#session.giveBack(event.body));
        break;
      case 'ready':
        this.#isReady = true;
        this.#settleReady.resolve();
        break;
      case 'noticed':
        this.#tell(event.name, event.fields);
        break;
      case 'broken':
        this.end(event.error);
        break;
    }
  }

  #tell(name: string, fields: Reply['body']): void {
    try {
      this.#notices.tell(name, fields);
    } catch (error) {
      this.#log('error', 'a callback for notices failed', { notice: name, error });
    }
  }
}

function replyOf(body: Reply['body'], text: string): Reply {
  return { body, text, status: null, requestId: null, retryAfterMs: null };
}
