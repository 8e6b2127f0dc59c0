/**
 * FakeServer: the HTTP and TCP doors of Jobwire on loopback, in this process, with a clock that the test moves.
 *
 * What it does is what spec/lifecycle.yaml and spec/wire.yaml say; the contract tests run against it and against the real
 * server alike. What it cannot do is last: nothing is written anywhere.
 */

import { httpDoor } from './fake-http.ts';
import { jobView, Refused } from './fake-job.ts';
import { plain } from './fake-json.ts';
import { HOST, Listener } from './fake-listener.ts';
import { type Call, FakeService, type OperationName } from './fake-service.ts';
import { FakeState } from './fake-state.ts';
import { TcpSession } from './fake-tcp.ts';
import { advance, grace } from './fake-time.ts';

const PATIENCE_MS = 10_000; // that a test waits for something before it counts as failed

export interface FakeServerOptions {
  /** Where the clock starts. @default the real time */
  readonly now?: Date | undefined;
  /** The bearer token that the doors want. @default none */
  readonly token?: string | undefined;
  /** Decides backoff jitter, weighted pulls and ids, so that a run can be repeated. @default 0 */
  readonly seed?: number | undefined;
}

export interface WaitOptions {
  /** After which the wait was in vain. @default 10_000 */
  readonly timeoutMs?: number | undefined;
}

/**
 * An in-process Jobwire server for tests.
 *
 *     await using fake = await FakeServer.start();
 *     await using client = new Client({ url: fake.url });
 *     await client.push('emails', 'welcome', { to: 'ada' }, { delayMs: 60_000 });
 *     fake.advance(60_000);
 *     const [job] = await client.pull(['emails']);
 *
 * The clock stands still: delays, leases, timeouts, retries and retention move only with `advance`. A held pull or heartbeat
 * ends when its wait is over in real time or on this clock, whichever is first.
 *
 * `close` (or the end of `await using`) ends every connection.
 */
export class FakeServer implements AsyncDisposable {
  readonly #service: FakeService;
  readonly #sessions = new Set<TcpSession>();
  readonly #http: Listener;
  readonly #tcp: Listener;

  private constructor({ now, token, seed }: FakeServerOptions) {
    const state = new FakeState(now?.getTime() ?? Date.now(), seed);
    this.#service = new FakeService(state, token ?? null);
    const serveHttp = httpDoor(this.#service);
    this.#http = new Listener((socket) => {
      serveHttp(socket);
      socket.on('close', () => this.#service.tell());
    });
    this.#tcp = new Listener((socket) => {
      const session = new TcpSession(socket, this.#service);
      this.#sessions.add(session);
      socket.on('close', () => {
        this.#sessions.delete(session);
        this.#service.tell();
      });
    });
  }

  /** A server that takes connections. */
  static async start(options: FakeServerOptions = {}): Promise<FakeServer> {
    const server = new FakeServer(options);
    await server.acceptConnections();
    return server;
  }

  /** End every connection, and listen no more. Idempotent. */
  async close(): Promise<void> {
    this.#service.endWaits();
    await Promise.all([this.#http.close(), this.#tcp.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- where it is ---

  /** The address of the HTTP door. */
  get url(): string {
    return `http://${HOST}:${this.#http.port}`;
  }

  /** The address of the TCP door. */
  get tcpUrl(): string {
    return `tcp://${HOST}:${this.#tcp.port}`;
  }

  // --- time ---

  /** The instant at which the clock stands. */
  get now(): Date {
    return new Date(this.#service.state.now);
  }

  /** Move the clock on by *ms*; all that falls due on the way happens in order, each at its instant. */
  advance(ms: number): void {
    if (!Number.isFinite(ms) || ms < 0) {
      throw new TypeError(`expected ms to be a number of milliseconds, 0 or more, got ${ms}`);
    }
    advance(this.#service.state, Math.round(ms));
    this.#service.changed();
  }

  // --- faults ---

  /** Carry the next *times* requests of this operation out, and cut the connection in place of the answer. */
  dropNextAnswer(operation: OperationName, times = 1): void {
    this.#service.faults.dropped.set(operation, times);
  }

  /** Neither carry out nor answer the next *times* requests of this operation; their connections stay open. */
  swallowNext(operation: OperationName, times = 1): void {
    this.#service.faults.swallowed.set(operation, times);
  }

  /** Answer the next *times* requests of this operation with an error, carrying nothing out. */
  refuseNext(
    operation: OperationName,
    code: string,
    {
      message = `${code} by a fault`,
      times = 1,
    }: { readonly message?: string; readonly times?: number } = {},
  ): void {
    const { refusals } = this.#service.faults;
    const more = Array.from({ length: times }, () => new Refused(code, message));
    refusals.set(operation, [...(refusals.get(operation) ?? []), ...more]);
  }

  /** Refuse new connections on both doors; open ones stay. */
  async refuseConnections(): Promise<void> {
    await Promise.all([this.#http.refuse(), this.#tcp.refuse()]);
  }

  /** Take connections (again), on the same ports. */
  async acceptConnections(): Promise<void> {
    await Promise.all([this.#http.accept(), this.#tcp.accept()]);
  }

  /** Reset every open connection. What was held for one of them is not carried out. */
  cutConnections(): void {
    this.#service.endWaits();
    this.#http.cut();
    this.#tcp.cut();
  }

  /** Be down: refuse and cut. Jobs and settings stay, as on disk. */
  async stop(): Promise<void> {
    await this.refuseConnections();
    this.cutConnections();
  }

  /** Be up again after `stop`; each active lease gets its whole length anew (C6). */
  async start(): Promise<void> {
    this.#service.operations.isDraining = false;
    grace(this.#service.state);
    this.#service.changed();
    await this.acceptConnections();
  }

  /** Stop and start at once. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /**
   * What SIGTERM does to a server: pulls answer SHUTTING_DOWN, held ones end, TCP sessions hear `goaway` and are closed when
   * what they asked for is answered. Connections are still taken, to be told so.
   */
  drain(): void {
    this.#service.operations.isDraining = true;
    this.#service.endWaits();
    for (const session of this.#sessions) session.drain();
  }

  /** Tell this worker `deaf: true` until its next pull. */
  makeDeaf(workerId: string): void {
    this.#service.state.seenWorker(workerId, 'http').deaf = true;
    this.#service.changed();
  }

  // --- looking inside ---

  /** Every request so far: operation, fields as sent, door. Greetings are not among them. */
  get calls(): readonly Call[] {
    return this.#service.calls;
  }

  /** The fields of each request of one operation, in order. */
  callsOf(operation: OperationName): Call['fields'][] {
    return this.calls.filter((call) => call.operation === operation).map(({ fields }) => fields);
  }

  /** Open connections on both doors. */
  get connectionCount(): number {
    return this.#http.connectionCount + this.#tcp.connectionCount;
  }

  /** The Job object of the wire, as it is now; undefined for one that is not there. */
  job(id: string): Readonly<Record<string, unknown>> | undefined {
    const job = this.#service.state.jobs.get(id);
    if (job === undefined || job.state === 'removed') return undefined;
    return plain(jobView(job)) as Record<string, unknown>;
  }

  /** Wait until *count* requests of this operation have come since the start; rejects with Error when they do not. */
  waitFor(operation: OperationName, count = 1, options: WaitOptions = {}): Promise<void> {
    const haveCome = (): boolean => this.#service.countOf(operation) >= count;
    return this.waitUntil(haveCome, { ...options, what: `${count} x ${operation}` });
  }

  /** Wait until a job is in *state*; rejects with Error when it does not get there. */
  waitForState(id: string, state: string, options: WaitOptions = {}): Promise<void> {
    const isThere = (): boolean => this.#service.state.jobs.get(id)?.state === state;
    return this.waitUntil(isThere, { ...options, what: `job ${id} ${state}` });
  }

  /**
   * Wait until *claim* holds; it is asked again after each request, each `advance` and each end of a connection. No polling
   * and no sleep.
   */
  async waitUntil(
    claim: () => boolean,
    { timeoutMs = PATIENCE_MS, what = 'it' }: WaitOptions & { readonly what?: string } = {},
  ): Promise<void> {
    if (!(await this.#service.waitUntil(claim, timeoutMs))) {
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    }
  }

  toString(): string {
    return `FakeServer(${this.url}, ${this.tcpUrl})`;
  }
}
