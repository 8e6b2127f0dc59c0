/**
 * One call, for either wire, and what came back.
 *
 * A Request knows its HTTP route, its TCP command and how to read its answer; whoever sends it knows sockets only.
 */

import { fromResponse, ProtocolError, ValidationError } from './errors.ts';
import { JobTexts } from './json-text.ts';
import { Malformed, type Wire } from './reading.ts';
import { type Operation, type RetryClass, ROUTES } from './routes.ts';
import { encode } from './strict-json.ts';

/** What came back: the JSON object and its text, and over HTTP the status and two headers. */
export interface Reply {
  readonly body: Readonly<Record<string, unknown>>;
  /** The text of *body*, of which a job can give its payload as it was pushed. */
  readonly text: string;
  readonly status: number | null;
  readonly requestId: string | null;
  readonly retryAfterMs: number | null;
}

type Parse<T> = (body: Wire, texts: JobTexts) => T;

interface Parts<T> {
  /** Members of the TCP command, and of the HTTP request where it has no `body` of its own. */
  readonly fields: Wire;
  readonly body?: Wire | undefined;
  readonly parse: Parse<T>;
  readonly waitMs?: number | undefined;
}

/** Repeating it repeats the same ids, leases and request_id. */
export class Request<T = unknown> {
  readonly op: Operation;
  /** The members of the TCP command, in the words of the wire; they hold payloads and leases. */
  readonly fields: Wire;
  /** How long the server may hold the answer back by design. */
  readonly waitMs: number;
  readonly #parts: Parts<T>;

  constructor(op: Operation, parts: Parts<T>) {
    this.op = op;
    this.fields = parts.fields;
    this.waitMs = parts.waitMs ?? 0;
    this.#parts = parts;
    for (const name of this.#inPath) pathText(name, parts.fields[name]);
  }

  get retry(): RetryClass {
    return ROUTES[this.op].retry;
  }

  get method(): string {
    return ROUTES[this.op].http.split(' ')[0] ?? '';
  }

  /** Path and query below /api/v1, quoted. */
  get target(): string {
    const template = ROUTES[this.op].http.split(' ')[1] ?? '';
    const path = template.replace(/{(\w+)}/g, (_, name) => pathText(name, this.fields[name]));
    if (this.#hasBody) return path;
    const query = this.#outsidePath().map(([name, value]) => `${name}=${queryText(name, value)}`);
    return query.length > 0 ? `${path}?${query.join('&')}` : path;
  }

  /** The JSON of the HTTP request; null for GET and DELETE. ValidationError when it cannot be written. */
  httpBody(): string | null {
    if (!this.#hasBody) return null;
    return encode(this.#parts.body ?? Object.fromEntries(this.#outsidePath()));
  }

  /** The JSON object of the TCP command's fields. ValidationError when it cannot be written. */
  tcpPayload(): string {
    return encode(this.fields);
  }

  /** The same request, answered at once. */
  withoutWait(): Request<T> {
    const { wait_ms: _, ...fields } = this.fields;
    return new Request(this.op, { ...this.#parts, fields, waitMs: 0 });
  }

  /** What the caller gets for *reply*; throws what the server refused, or ProtocolError for a malformed answer. */
  read(reply: Reply): T {
    check(reply);
    try {
      return this.#parts.parse(reply.body, new JobTexts(reply.text));
    } catch (thrown) {
      if (!(thrown instanceof Malformed)) throw thrown;
      const message = `the answer to ${this.op} is malformed: ${thrown.message}`;
      throw new ProtocolError('PROTOCOL_ERROR', message, {
        requestId: reply.requestId,
        status: reply.status,
      });
    }
  }

  get #hasBody(): boolean {
    return this.method !== 'GET' && this.method !== 'DELETE';
  }

  get #inPath(): string[] {
    return Array.from(ROUTES[this.op].http.matchAll(/{(\w+)}/g), ([, name = '']) => name);
  }

  #outsidePath(): [string, unknown][] {
    const inPath = this.#inPath;
    return Object.entries(this.fields).filter(([name]) => !inPath.includes(name));
  }
}

/** Throw the error of a refused request; a partial failure of a batch is an answer, not an error. */
function check({ body, ...reply }: Reply): void {
  if (body.ok === true || (body.ok === false && 'results' in body)) return;
  if (body.ok === false) throw fromResponse(body.error, reply);
  throw new ProtocolError('PROTOCOL_ERROR', "the answer has no 'ok'", { status: reply.status });
}

/** An argument that cannot be; *name* is that of its field on the wire. */
export function invalid(message: string, name?: string): ValidationError {
  const details = name === undefined ? undefined : { pointer: `/${name}` };
  return new ValidationError('VALIDATION_ERROR', message, { details });
}

function pathText(name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '' || value === '.' || value === '..') {
    throw invalid(`${name} must be a name that can stand in a path, got ${String(value)}`, name);
  }
  return percentEncoded(name, value);
}

function queryText(name: string, value: unknown): string {
  return percentEncoded(name, Array.isArray(value) ? value.join() : String(value));
}

function percentEncoded(name: string, text: string): string {
  if (!text.isWellFormed()) throw invalid(`${name} contains a lone surrogate`, name);
  return encodeURIComponent(text);
}
