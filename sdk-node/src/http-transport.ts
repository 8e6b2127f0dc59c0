/**
 * HTTP: a pool of keep-alive connections, each used by one call at a time.
 *
 * This is node:http and not the global fetch, which repeats a request by itself on a connection that was closed, hides
 * whether anything had been sent, waits ten seconds for a connection whatever the caller says, keeps bytes of a body without
 * a limit, and has no certificates of one's own and no way to cut one waiting call.
 *
 * Rule 1: a connection carries one request at a time, so an answer cannot reach another caller; one on which a call timed
 *         out, failed or was aborted is closed, never used again.
 * Rule 2: a connection that the server closed while it lay idle has left the pool before it can be used.
 * Rule 3: a silent server cannot be asked beside a request, so that a `silenceMs` bounds the whole of one (JW-SDK-13); who
 *         sets it must not have requests wait for longer.
 */

import { type Agent, type ClientRequest, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { Endpoint } from './endpoint.ts';
import { ProtocolError } from './errors.ts';
import { MAX_CONNECTIONS, poolFor } from './http-agent.ts';
import { API, headersOf, type Response, replyOf } from './http-exchange.ts';
import { readResponse } from './http-response.ts';
import type { Reply, Request } from './request.ts';
import { afterHearing, connectError, connectedEvent, KEEPALIVE_MS, reasonOf } from './sockets.ts';
import {
  clientClosed,
  connectionFailed,
  connectionLost,
  type NoticeCallback,
  type SendOptions,
  type Transport,
  timedOut,
} from './transport.ts';

const MAX_HEAD = 64 * 1024; // bytes of the status line and the header fields

/** Thrown inside for a call that was interrupted, and caught there. */
const INTERRUPTED = new Error('interrupted');

/** What may go wrong with a call from outside of its connection. */
interface Exchange {
  readonly waits: boolean;
  fail(error: unknown): void;
}

export class HttpTransport implements Transport {
  readonly polls = false;
  readonly #endpoint: Endpoint;
  readonly #silenceMs: number;
  readonly #agent: Agent;
  readonly #exchanges = new Set<Exchange>();
  #isClosed = false;

  /** *silenceMs* is how long the server may say nothing while a request is unanswered; null leaves that to the calls. */
  constructor(endpoint: Endpoint, silenceMs: number | null = null) {
    this.#endpoint = endpoint;
    this.#silenceMs = silenceMs ?? Number.POSITIVE_INFINITY;
    this.#agent = poolFor(endpoint);
  }

  async send(request: Request, options: SendOptions): Promise<Reply> {
    try {
      return replyOf(await this.#exchange(request, options), this.#endpoint);
    } catch (error) {
      if (error !== INTERRUPTED) throw error;
      return this.send(request.withoutWait(), options);
    }
  }

  /** There are no notices over HTTP. */
  subscribe(_callback: NoticeCallback): () => void {
    return () => {};
  }

  /** Cut the connections that wait; their requests are sent again, with the same ids and without a wait. */
  interrupt(): void {
    for (const exchange of this.#exchanges) {
      if (exchange.waits) exchange.fail(INTERRUPTED);
    }
  }

  closeIdle(): void {
    for (const sockets of Object.values(this.#agent.freeSockets)) {
      for (const socket of [...(sockets ?? [])]) socket.destroy();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const exchange of this.#exchanges) exchange.fail(clientClosed());
    this.#agent.destroy();
  }

  /** One request and its response, on a connection of the pool. */
  #exchange(request: Request, { signal, ...options }: SendOptions): Promise<Response> {
    const timeoutMs = Math.min(options.timeoutMs, this.#silenceMs);
    const text = request.httpBody();
    const body = text === null ? null : Buffer.from(text);
    if (this.#isClosed) throw clientClosed();
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const sent = this.#open(request, body);
      const where = String(this.#endpoint);
      const state = { hasSocket: false, isConnected: false };
      const finish = (settle: () => void): void => {
        for (const cancel of timers) cancel();
        signal?.removeEventListener('abort', abort);
        this.#exchanges.delete(exchange);
        settle();
      };
      const fail = (error: unknown): void => {
        finish(() => reject(error));
        sent.destroy();
      };
      const abort = (): void => fail(signal?.reason);
      const exchange: Exchange = { waits: request.waitMs > 0, fail };
      const timers = [
        afterHearing(timeoutMs, () => {
          fail(state.isConnected ? timedOut(timeoutMs, where) : this.#unconnected(state));
        }),
      ];
      this.#exchanges.add(exchange);
      signal?.addEventListener('abort', abort, { once: true });
      sent.on('socket', (socket) => {
        state.hasSocket = true;
        this.#whenConnected(socket, timers, state, fail);
      });
      sent.on('error', (error) => fail(this.#errorOf(error, state.isConnected)));
      readResponse(sent, fail, (response) => finish(() => resolve(response)));
      sent.end(body ?? undefined);
    });
  }

  #open(request: Request, body: Uint8Array | null): ClientRequest {
    const { host, port, prefix, isSecure } = this.#endpoint;
    return (isSecure ? secureRequest : plainRequest)({
      agent: this.#agent,
      host,
      port,
      method: request.method,
      path: prefix + API + request.target,
      headers: headersOf(this.#endpoint, body),
      maxHeaderSize: MAX_HEAD,
      setHost: false,
    });
  }

  /** A connection out of the pool is there; for a new one there is a time. */
  #whenConnected(
    socket: Socket,
    timers: (() => void)[],
    state: { isConnected: boolean },
    fail: (error: unknown) => void,
  ): void {
    // A socket that was handed on to a call that waited for one is no `reusedSocket`, so that its own state is asked.
    if (
      !socket.connecting &&
      !(socket as Socket & { secureConnecting?: boolean }).secureConnecting
    ) {
      state.isConnected = true;
      return;
    }
    socket.setKeepAlive(true, KEEPALIVE_MS);
    const timer = setTimeout(() => {
      fail(connectionFailed(String(this.#endpoint), 'timed out'));
    }, this.#endpoint.connectTimeoutMs);
    timers.push(() => clearTimeout(timer));
    socket.once(connectedEvent(this.#endpoint), () => {
      clearTimeout(timer);
      state.isConnected = true;
    });
  }

  #unconnected({ hasSocket }: { hasSocket: boolean }): Error {
    const why = hasSocket ? 'timed out' : `all ${MAX_CONNECTIONS} connections are in use`;
    return connectionFailed(String(this.#endpoint), why);
  }

  #errorOf(error: Error, isConnected: boolean): Error {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code.startsWith('HPE_')) {
      const message = `the peer does not answer in HTTP/1.1 (${code}); is this the HTTP port?`;
      return new ProtocolError('PROTOCOL_ERROR', message);
    }
    if (!isConnected) return connectError(this.#endpoint, error);
    return connectionLost(String(this.#endpoint), reasonOf(error));
  }
}
