/**
 * TCP: one connection that all calls share.
 *
 * Rule: a connection is not mended. It is given up, and the next call makes a new one, of which all callers that arrive
 *       meanwhile wait for the same.
 */

import type { Endpoint } from './endpoint.ts';
import type { JobwireError } from './errors.ts';
import type { Log } from './log.ts';
import type { Reply, Request } from './request.ts';
import { TcpLink } from './tcp-link.ts';
import {
  clientClosed,
  connectionFailed,
  copyOf,
  type NoticeCallback,
  Notices,
  type SendOptions,
  type Transport,
} from './transport.ts';

/** An attempt to connect may take this long at least, whatever the time of the call that began it: others may share it. */
const ATTEMPT_MS = 1000;

export class TcpTransport implements Transport {
  readonly #endpoint: Endpoint;
  readonly #log: Log;
  readonly #silenceMs: number | null;
  readonly #notices = new Notices();
  readonly #links = new Set<TcpLink>(); // all that are not closed yet
  #current: TcpLink | null = null;
  #attempt: Promise<TcpLink> | null = null;
  #isClosed = false;

  /** *silenceMs* is how long the server may say nothing while a request is unanswered; null leaves that to the calls. */
  constructor(endpoint: Endpoint, log: Log, silenceMs: number | null = null) {
    this.#endpoint = endpoint;
    this.#log = log;
    this.#silenceMs = silenceMs;
  }

  get polls(): boolean {
    return this.#current?.version === 1;
  }

  async send(request: Request, { timeoutMs, signal }: SendOptions): Promise<Reply> {
    const payload = request.tcpPayload();
    const deadline = performance.now() + timeoutMs;
    const left = (): number => Math.max(deadline - performance.now(), 0);
    for (;;) {
      if (this.#isClosed) throw clientClosed();
      const current = this.#current;
      const link = current?.isUsable ? current : await this.#connected(left(), signal);
      while (link.isUsable && !link.isWritable) await link.untilWritable(left(), signal);
      if (!link.isUsable) continue; // it ended in this very moment; nothing was sent
      const waits = request.waitMs > 0;
      return await link.call(request.op, payload, { waits, leftMs: left(), timeoutMs, signal });
    }
  }

  subscribe(callback: NoticeCallback): () => void {
    return this.#notices.subscribe(callback);
  }

  interrupt(): void {
    for (const link of this.#links) link.interrupt();
  }

  closeIdle(): void {
    this.#current?.endIfIdle();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#current = null;
    const links = [...this.#links];
    for (const link of links) link.end(clientClosed());
    await Promise.all(links.map((link) => link.closed));
  }

  /** The link of the attempt under way. It is the transport's: a caller that leaves, leaves it to the others. */
  #connected(leftMs: number, signal: AbortSignal | undefined): Promise<TcpLink> {
    this.#attempt ??= this.#connect(leftMs).finally(() => {
      this.#attempt = null;
    });
    const attempt = this.#attempt;
    return new Promise((resolve, reject) => {
      const abort = (): void => finish(() => reject(signal?.reason));
      const timer = setTimeout(() => {
        finish(() => reject(connectionFailed(String(this.#endpoint), 'timed out')));
      }, leftMs);
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        settle();
      };
      signal?.addEventListener('abort', abort, { once: true });
      attempt.then(
        (link) => finish(() => resolve(link)),
        (error: JobwireError) => finish(() => reject(copyOf(error))), // several callers share it
      );
    });
  }

  /** Connect for a call that has *leftMs*; after that, another one need not wait for the same silent peer. */
  async #connect(leftMs: number): Promise<TcpLink> {
    const { connectTimeoutMs } = this.#endpoint;
    const link = new TcpLink(this.#endpoint, this.#notices, this.#log, this.#silenceMs);
    this.#links.add(link);
    void link.closed.then(() => this.#links.delete(link)); // never rejects
    const timer = setTimeout(
      () => link.end(connectionFailed(String(this.#endpoint), 'timed out')),
      Math.min(connectTimeoutMs, Math.max(leftMs, ATTEMPT_MS)),
    );
    try {
      await link.ready;
    } finally {
      clearTimeout(timer);
    }
    this.#current = link;
    return link;
  }
}
