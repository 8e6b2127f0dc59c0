/**
 * The TCP wire without sockets: bytes in, events out (spec/wire.md).
 *
 * A session starts with `hello`. In version 2 each request has a `rid` that its answer echoes; answers come in any
 * order, and notices in between. A server that does not know `hello` (RustQueue) speaks version 1: no rids, answers in
 * the order of the requests.
 *
 *     hello ──▶ ready ──▶ draining (goaway) ──▶ broken
 *       └──▶ auth ──▶ ready                       (version 1 with a token)
 *
 * Rule 1: an answer goes to the request it belongs to, or nowhere. A rid whose caller has left is remembered until its
 *         answer came; in version 1, where that cannot be told, the connection has to be given up.
 * Rule 2: rids are never used twice on a connection.
 * Rule 3: lengths are checked before bytes are kept.
 */

import { fromResponse, type JobwireError, ValidationError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { Wire } from './reading.ts';
import { decode, encode } from './strict-json.ts';
import { type Event, garbage, isWire, line, uncorrelated } from './tcp-events.ts';
import { LineDecoder, LineTooLong } from './tcp-lines.ts';
import { VERSION } from './version.ts';

/** Bytes of a line that a server may send. */
export const MAX_ANSWER = 64 * 1024 * 1024;
const HELLO_RID = 1;
const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface SessionOptions {
  readonly clientName: string;
  readonly token: string | null;
  readonly bigints?: boolean;
  readonly maxAnswer?: number;
}

/** One connection's conversation. */
export class Session {
  #version = 0;
  #isDraining = false;
  #stage: 'hello' | 'auth' | 'ready' | 'broken' = 'hello';
  #maxLine: number = LIMITS.line_bytes;
  #lastRid = HELLO_RID;
  #outgoing = '';
  readonly #waiting = new Set<number>(); // rids in the order of sending
  readonly #abandoned = new Map<number, boolean>(); // rid → whether its caller was aborted
  readonly #lines: LineDecoder;
  readonly #clientName: string;
  readonly #token: string | null;
  readonly #bigints: boolean;

  constructor({ clientName, token, bigints = false, maxAnswer = MAX_ANSWER }: SessionOptions) {
    this.#clientName = clientName;
    this.#token = token;
    this.#bigints = bigints;
    this.#lines = new LineDecoder(maxAnswer);
  }

  /** The wire version that was agreed on; 0 before that. */
  get version(): number {
    return this.#version;
  }

  /** True after goaway: answers still come, requests must go elsewhere. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Requests whose callers wait for an answer. */
  get inFlight(): number {
    return this.#waiting.size;
  }

  /** The first line to send. */
  hello(): string {
    const fields = {
      v: [1, 2],
      client: { name: this.#clientName, version: VERSION },
      token: this.#token ?? undefined,
    };
    return line('hello', encode(fields), HELLO_RID);
  }

  /**
   * The rid and the line of a request; *payload* is the JSON object of its fields.
   *
   * Throws ValidationError PAYLOAD_TOO_LARGE; nothing was sent then, and the session goes on.
   */
  send(cmd: string, payload: string): readonly [rid: number, line: string] {
    const text = line(cmd, payload, this.#version === 2 ? this.#lastRid + 1 : null);
    if (3 * text.length > this.#maxLine) this.#checkLength(text); // a character has at most three bytes
    this.#lastRid += 1;
    this.#waiting.add(this.#lastRid);
    return [this.#lastRid, text];
  }

  #checkLength(text: string): void {
    const bytes = Buffer.byteLength(text);
    const limit = this.#maxLine;
    if (bytes - 1 <= limit) return;
    throw new ValidationError(
      'PAYLOAD_TOO_LARGE',
      `the request is ${bytes} bytes long, the limit is ${limit}`,
      { details: { limit } },
    );
  }

  /**
   * The caller of *rid* has left; its answer will be dropped, and be told as late if the caller *aborted*.
   *
   * True when the connection has to be closed, because later answers could not be told apart.
   */
  abandon(rid: number, { aborted = false } = {}): boolean {
    if (!this.#waiting.has(rid)) return false;
    if (this.#version !== 2) return true;
    this.#waiting.delete(rid);
    this.#abandoned.set(rid, aborted);
    return false;
  }

  /** The line that has the waiting request *rid* answered at once; empty where the server does not know it. */
  abort(rid: number): string {
    return this.#version === 2 ? this.#unanswered('abort', { target: rid }) : '';
  }

  /** The line that a living server answers at once, whatever else waits; empty in version 1, where it may not. */
  ping(): string {
    return this.#version === 2 ? this.#unanswered('ping', {}) : '';
  }

  /** The lines that release the jobs of a late answer, so that they need not wait for their leases to end. */
  giveBack(body: Wire): string {
    const jobs = Array.isArray(body.jobs) ? body.jobs : [body.job];
    let lines = '';
    for (const job of jobs) {
      if (job?.lease) lines += this.#unanswered('release', { id: job.id, lease: job.lease });
    }
    return lines;
  }

  /** A request whose answer nobody waits for. */
  #unanswered(cmd: string, fields: Wire): string {
    const [rid, text] = this.send(cmd, encode(fields));
    this.abandon(rid);
    return text;
  }

  /** What the handshake wants sent next; empty most of the time. */
  outgoing(): string {
    const text = this.#outgoing;
    this.#outgoing = '';
    return text;
  }

  /** What *chunk*, the next bytes of the peer, says. */
  feed(chunk: Uint8Array): Event[] {
    const events: Event[] = [];
    if (this.#stage === 'broken') return events;
    try {
      for (const each of this.#lines.push(chunk)) {
        this.#receive(each, events);
        if (this.#isBroken()) break;
      }
    } catch (thrown) {
      if (!(thrown instanceof LineTooLong)) throw thrown;
      this.#break(garbage(thrown.message), events);
    }
    return events;
  }

  #isBroken(): boolean {
    return this.#stage === 'broken';
  }

  #receive(bytes: Uint8Array, events: Event[]): void {
    let text: string;
    let body: unknown;
    try {
      text = STRICT.decode(bytes);
      body = decode(text, { bigints: this.#bigints });
    } catch {
      this.#break(garbage('the peer sent a line that is not JSON in UTF-8'), events);
      return;
    }
    if (!isWire(body)) this.#break(garbage('the peer sent a line that is not an object'), events);
    else if (this.#stage === 'hello') this.#receiveHello(body, events);
    else if (this.#stage === 'auth') this.#receiveAuth(body, events);
    else if (this.#version === 2 && 'notice' in body && !('ok' in body)) this.#notice(body, events);
    else this.#receiveAnswer(body, text, events);
  }

  // --- the handshake ------------------------------------------------------------------------------------------------

  #receiveHello(body: Wire, events: Event[]): void {
    if (body.ok === true) {
      this.#acceptHello(body, events);
      return;
    }
    const error = fromResponse(body.error);
    // RustQueue answers UNAUTHORIZED to all but `auth`; ours would have echoed the rid.
    const isRustQueue = error.code === 'UNAUTHORIZED' && !('rid' in body) && this.#token !== null;
    if (error.code === 'UNKNOWN_COMMAND' || isRustQueue) this.#fallBack(events);
    else this.#break(error, events);
  }

  #acceptHello(body: Wire, events: Event[]): void {
    if (body.v !== 1 && body.v !== 2) {
      this.#break(garbage('the server chose a wire version that was not offered'), events);
      return;
    }
    const lineBytes = isWire(body.limits) ? body.limits.line_bytes : null;
    if (Number.isSafeInteger(lineBytes)) this.#maxLine = lineBytes as number;
    this.#becomeReady(body.v, events);
  }

  #fallBack(events: Event[]): void {
    if (this.#token === null) {
      this.#becomeReady(1, events);
      return;
    }
    this.#stage = 'auth';
    this.#outgoing += line('auth', encode({ token: this.#token }), null);
  }

  #receiveAuth(body: Wire, events: Event[]): void {
    const error = body.ok === true ? null : fromResponse(body.error);
    // A RustQueue that wants no token does not know the command.
    if (error === null || error.code === 'UNKNOWN_COMMAND') this.#becomeReady(1, events);
    else this.#break(error, events);
  }

  #becomeReady(version: number, events: Event[]): void {
    this.#version = version;
    this.#stage = 'ready';
    events.push({ type: 'ready' });
  }

  // --- afterwards ---------------------------------------------------------------------------------------------------

  #receiveAnswer(body: Wire, text: string, events: Event[]): void {
    const rid = this.#ridOf(body);
    if (rid === null) {
      this.#break(uncorrelated(body), events);
    } else if (this.#abandoned.has(rid)) {
      if (this.#abandoned.get(rid)) events.push({ type: 'late', body });
      this.#abandoned.delete(rid);
    } else {
      this.#waiting.delete(rid);
      events.push({ type: 'answered', rid, body, text });
    }
  }

  /** The request that *body* answers; null when that cannot be told. */
  #ridOf(body: Wire): number | null {
    const isOnly = !('rid' in body) && this.inFlight === 1 && this.#abandoned.size === 0;
    if (this.#version !== 2 || isOnly) {
      const [oldest = null] = this.#waiting;
      return oldest;
    }
    const { rid } = body;
    const isKnown = typeof rid === 'number' && (this.#waiting.has(rid) || this.#abandoned.has(rid));
    return isKnown ? rid : null;
  }

  #notice({ notice, ...fields }: Wire, events: Event[]): void {
    const name = String(notice);
    if (name === 'goaway') this.#drain(fields.last_rid, events);
    events.push({ type: 'noticed', name, fields });
  }

  /** Without a last_rid nothing is known of what is in flight: its answers may still come. */
  #drain(lastRid: unknown, events: Event[]): void {
    this.#isDraining = true;
    if (typeof lastRid !== 'number') return;
    for (const rid of [...this.#waiting].filter((each) => each > lastRid)) {
      this.#waiting.delete(rid);
      this.#abandoned.set(rid, false); // the server may still refuse it in words
      events.push({ type: 'unprocessed', rid });
    }
  }

  #break(error: JobwireError, events: Event[]): void {
    this.#stage = 'broken';
    events.push({ type: 'broken', error });
  }
}
