/** The TCP door of the fake server: lines of JSON, wire versions 1 and 2, notices. It knows nothing of jobs. */

import type { Socket } from 'node:net';
import { LIMITS } from '../limits.ts';
import { errorView } from './fake-answers.ts';
import { check } from './fake-check.ts';
import { integer } from './fake-checks.ts';
import { FIELDS, SERVER_LIMITS } from './fake-fields.ts';
import { type Answer, invalid, type Listening, Refused } from './fake-job.ts';
import { dumps, parseStrict } from './fake-json.ts';
import { cutSocket } from './fake-listener.ts';
import { Dropped, type FakeService, Swallowed, Waiter } from './fake-service.ts';
import { LineStream } from './fake-tcp-stream.ts';

/** Commands that only a session of version 2 has. */
export const VERSION_2: ReadonlySet<string> = new Set([
  'fail_batch',
  'release',
  'heartbeat_batch',
  'retry',
  'promote',
  'delete',
  'find',
  'queues',
  'queue',
  'queue_update',
  'dlq',
  'dlq_retry',
  'dlq_discard',
  'flow',
  'workers',
  'health',
  'capabilities',
  'abort',
]);
export const HTTP_ONLY: ReadonlySet<string> = new Set(['ready', 'live']);
export const WITHOUT_TOKEN: ReadonlySet<string> = new Set([
  'health',
  'capabilities',
  'hello',
  'auth',
  'ping',
  'bye',
]);
const WHILE_DRAINING: ReadonlySet<string> = new Set(['ping', 'abort', 'bye']);
/** What the session answers itself; goaway does not count it. */
const OWN: ReadonlySet<unknown> = new Set(['hello', 'auth', 'abort', 'bye', 'ping']);

interface Request {
  readonly command: Answer;
  /** The rid, if the line has one. */
  readonly echo: { readonly rid?: number };
}

/**
 * One connection.
 *
 * In version 1 its lines are carried out one after another; in version 2 those with a rid side by side, and the others in
 * their order among themselves.
 */
export class TcpSession implements Listening {
  readonly #socket: Socket;
  readonly #service: FakeService;
  readonly #stream = new LineStream();
  /** Lines that were read and not taken yet. */
  readonly #lines: (Uint8Array | Refused)[] = [];
  readonly #waiters = new Set<{ readonly rid: number | undefined; readonly waiter: Waiter }>();
  readonly #inFlight = new Set<Promise<void>>();
  /** Ends with the last request of version 2 without a rid. */
  #lane: Promise<void> = Promise.resolve();
  #isTaking = false;
  #version = 1;
  #isGreeted = false;
  #lastRid: number | null = null;
  #client: string | null = null;
  #isAuthenticated: boolean;
  #hasEnded = false;
  #isOver = false;

  constructor(socket: Socket, service: FakeService) {
    this.#socket = socket;
    this.#service = service;
    this.#isAuthenticated = service.token === null;
    socket.on('data', (chunk: Buffer) => this.#read(this.#stream.push(chunk)));
    socket.on('end', () => {
      this.#hasEnded = true;
      this.#read(this.#stream.end());
    });
    socket.on('close', () => this.#endWaits());
  }

  /** Send a line that nobody asked for; only a session of version 2 gets any. */
  notify(notice: Answer): void {
    if (this.#version === 2) this.#send(notice);
  }

  /** The server stops: answer what was taken, refuse the rest, and close (JW-TCP-33). */
  drain(): void {
    this.notify({ notice: 'goaway', last_rid: this.#lastRid, reason: 'shutdown' });
    void this.#leave(); // it rejects never
  }

  #read(lines: readonly (Uint8Array | Refused)[]): void {
    this.#lines.push(...lines);
    if (!this.#isTaking) void this.#takeAll(); // it rejects never
    if (this.#hasEnded) this.#endWaits();
  }

  async #takeAll(): Promise<void> {
    this.#isTaking = true;
    for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) {
      if (!this.#isOver) await this.#take(line);
      if (this.#hasEnded) this.#endWaits();
    }
    this.#isTaking = false;
    if (this.#hasEnded) await this.#leave();
  }

  /** One line; resolves when the next one may be taken. */
  async #take(line: Uint8Array | Refused): Promise<void> {
    const request = line instanceof Refused ? line : this.#parsed(line);
    if (request instanceof Refused) {
      if (request === line || this.#version === 1) await this.#settled();
      this.#refuse(request, {});
      if (request === line) await this.#leave();
      return;
    }
    const { command, echo } = request;
    if (!OWN.has(command.cmd)) this.#lastRid = echo.rid ?? this.#lastRid;
    if (command.cmd === 'bye') {
      this.#endWaits();
      await this.#settled();
      await this.#answer(request);
      await this.#leave();
    } else if (this.#version === 1 || command.cmd === 'hello') {
      await this.#tracked(this.#answer(request));
    } else if (echo.rid === undefined) {
      this.#lane = this.#tracked(this.#lane.then(() => this.#answer(request)));
    } else {
      void this.#tracked(this.#answer(request)); // it rejects never
    }
  }

  #parsed(line: Uint8Array): Request | Refused {
    try {
      if (!this.#isAuthenticated && line.length > SERVER_LIMITS.unauthenticated_line_bytes) {
        throw new Refused('UNAUTHORIZED', 'Authenticate first, with hello or auth');
      }
      return parsed(line);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return error;
    }
  }

  #tracked(answered: Promise<void>): Promise<void> {
    this.#inFlight.add(answered);
    return answered.finally(() => this.#inFlight.delete(answered));
  }

  /** Resolves when nothing is in flight. */
  async #settled(): Promise<void> {
    await Promise.all(this.#inFlight);
  }

  /** Answer what is in flight, and close. */
  async #leave(): Promise<void> {
    this.#endWaits();
    await this.#settled();
    this.#isOver = true;
    this.#socket.end();
  }

  async #answer({ command, echo }: Request): Promise<void> {
    const held = { rid: echo.rid, waiter: new Waiter() };
    this.#waiters.add(held);
    try {
      this.#send({ ok: true, ...(await this.#run(command, held.waiter)), ...echo });
    } catch (error) {
      if (error instanceof Refused) this.#refuse(error, echo);
      else if (error instanceof Dropped) cutSocket(this.#socket);
      else if (!(error instanceof Swallowed)) throw error; // of which the fault is that no answer ever comes
    } finally {
      this.#waiters.delete(held);
    }
  }

  async #run({ cmd: command, ...fields }: Answer, waiter: Waiter): Promise<Answer> {
    const name = this.#known(command);
    if (!this.#isAuthenticated && !WITHOUT_TOKEN.has(name)) {
      throw new Refused('UNAUTHORIZED', 'Authenticate first, with hello or auth');
    }
    if (this.#service.operations.isDraining && !WHILE_DRAINING.has(name)) {
      throw new Refused('SHUTTING_DOWN', 'The server is shutting down; nothing was done');
    }
    if (name === 'hello') return this.#hello(fields);
    if (name === 'auth') return this.#auth(fields);
    if (name === 'abort') return this.#abort(check(name, fields).target);
    if (name === 'bye') return check(name, fields);
    const version = this.#version;
    const caller = { door: 'tcp', version, session: this, client: this.#client } as const;
    const answer = await this.#service.handle(name, fields, caller, waiter);
    return version === 1 ? asVersion1(name, answer) : answer;
  }

  #known(command: unknown): string {
    if (typeof command !== 'string') {
      throw invalid('/cmd', "Missing or invalid 'cmd' field", {}, 422);
    }
    const isKnown = Object.hasOwn(FIELDS, command) && !HTTP_ONLY.has(command);
    if (isKnown && (this.#version === 2 || !VERSION_2.has(command))) return command;
    throw new Refused('UNKNOWN_COMMAND', `Unknown command: ${command}`, { cmd: command });
  }

  #hello(fields: Answer): Answer {
    if (this.#isGreeted) {
      throw invalid('/cmd', 'hello was said before; a connection keeps its version');
    }
    if ((fields.token ?? null) !== null) this.#checkToken(fields.token);
    const checked = check('hello', fields);
    const { name, version } = (checked.client ?? {}) as Record<string, string | undefined>;
    const client = [name, version].filter(Boolean).join('/') || null;
    const caller = { door: 'tcp', version: this.#version, session: this, client } as const;
    const answer = this.#service.operations.hello(checked, caller);
    this.#isGreeted = true;
    this.#version = answer.v as number;
    this.#client = client;
    return answer;
  }

  #auth(fields: Answer): Answer {
    const { token } = check('auth', fields);
    if (!this.#isAuthenticated) this.#checkToken(token);
    return {};
  }

  #checkToken(token: unknown): void {
    const expected = this.#service.token;
    if (expected === null) return;
    if (token !== expected) throw new Refused('UNAUTHORIZED', 'Invalid authentication token');
    this.#isAuthenticated = true;
  }

  #abort(target: unknown): Answer {
    const held = [...this.#waiters].find(({ rid }) => rid === target);
    held?.waiter.end();
    return { aborted: held !== undefined };
  }

  #endWaits(): void {
    for (const { waiter } of this.#waiters) waiter.end();
  }

  #refuse(refusal: Refused, echo: Answer): void {
    const { retryable, ...members } = errorView(refusal);
    const error = this.#version === 1 ? members : { ...members, retryable };
    this.#send({ ok: false, error, ...echo });
  }

  #send(line: Answer): void {
    if (this.#socket.writable) this.#socket.write(`${dumps(line)}\n`);
  }
}

const checkRid = integer(0, LIMITS.rid_max);

function parsed(line: Uint8Array): Request {
  const request = parseStrict(line);
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    throw invalid('', 'a line must be an object', {}, 422);
  }
  const { rid = null, ...command } = request as Answer;
  return { command, echo: rid === null ? {} : { rid: checkRid(rid, '/rid') } };
}

/** Version 1 says in `ok` whether every item of an ack_batch was taken. */
function asVersion1(command: string, answer: Answer): Answer {
  const { failed } = answer;
  if (command !== 'ack_batch' || !failed) return answer;
  const error = { code: 'PARTIAL_FAILURE', message: `${failed} items failed`, details: { failed } };
  return { ...answer, ok: false, error };
}
