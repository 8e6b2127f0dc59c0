/**
 * A transport without a network, for the tests of users: a function stands in for the server.
 *
 *     const transport = new MockTransport((request) => {
 *       if (request.op === 'push') return { id: request.fields.id, outcome: 'created' };
 *       throw new UnavailableError('OVERLOADED');
 *     });
 *     const client = new Client({ transport });
 *
 * The function gets each Request (`op`, `fields`) and gives the members of the answer, or throws a JobwireError. A fake
 * that behaves like a whole server is FakeServer of `jobwire/testing`.
 */

import type { Reply, Request } from './request.ts';
import { decode, encode } from './strict-json.ts';
import { clientClosed, type NoticeCallback, Notices, type Transport } from './transport.ts';

type Answer = Readonly<Record<string, unknown>>;

export type MockHandler = (request: Request) => Answer | Promise<Answer>;

/** Answers each request with what its function gives. */
export class MockTransport implements Transport {
  readonly polls = false;
  /** What was asked, in order. */
  readonly requests: Request[] = [];
  readonly #handler: MockHandler;
  readonly #notices = new Notices();
  #isClosed = false;

  constructor(handler: MockHandler) {
    this.#handler = handler;
  }

  async send(request: Request): Promise<Reply> {
    if (this.#isClosed) throw clientClosed();
    request.tcpPayload(); // what a real transport would refuse is refused here too
    this.requests.push(request);
    return replyOf(await this.#handler(request));
  }

  subscribe(callback: NoticeCallback): () => void {
    return this.#notices.subscribe(callback);
  }

  /** Act as though the server had sent this notice. */
  notify(name: string, fields: Answer): void {
    this.#notices.tell(name, fields);
  }

  /** Nothing waits here. */
  interrupt(): void {}

  /** There are no connections. */
  closeIdle(): void {}

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}

/** Through JSON and back, so that a test never sees what no server could answer. */
function replyOf(answer: Answer): Reply {
  const text = encode({ ok: true, ...answer });
  const body = decode(text, { bigints: false }) as Reply['body'];
  return { body, text, status: null, requestId: null, retryAfterMs: null };
}
