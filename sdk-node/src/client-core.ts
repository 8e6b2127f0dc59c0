/**
 * What all methods of a client share: its settings, its transport, and how a call is repeated.
 *
 * Several views (`withOptions`) share one transport and one end; each has its own times.
 */

import { setMaxListeners } from 'node:events';
import { RetryPolicy, RetryState } from './backoff.ts';
import { type Endpoint, resolveEndpoint } from './endpoint.ts';
import { isJobwireError, type JobwireError } from './errors.ts';
import { HttpTransport } from './http-transport.ts';
import { type Log, logTo } from './log.ts';
import type { CallSettings, ClientOptions } from './options.ts';
import type { Request } from './request.ts';
import { RUNTIME, type Runtime } from './runtime.ts';
import { TcpTransport } from './tcp-transport.ts';
import { clientClosed, type NoticeCallback, type Transport } from './transport.ts';

/** The key of what the halves of a client share. */
export const CORE: unique symbol = Symbol('jobwire.core');

/** The key of what a client shows to the worker and to nobody else. */
export const INTERNALS: unique symbol = Symbol('jobwire.internals');

/** Bounds for the times of a sibling; a shorter one of the client stays. */
export interface SiblingTimes {
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  /** How long the server may say nothing while a request is unanswered (JW-SDK-13). @default the time of the call */
  readonly silenceMs?: number | undefined;
}

/** What a worker needs of the client that it was given. */
export interface ClientInternals {
  /** Time and chance. */
  readonly runtime: Runtime;
  /** The client's `onLog`, or silence. */
  readonly log: Log;
  readonly timeoutMs: number;
  /** False for a client with a `transport` of the user's, whose connection cannot be made a second time. */
  readonly hasUrl: boolean;
  /** Whether the server can be asked for a sign of life while a request waits. */
  readonly isTcp: boolean;
  /**
   * A client with a connection of its own to the same server, the same token and runtime, and no retries: the worker's
   * loops do those, for ever, and decide what a repeat means.
   */
  sibling<C>(make: (settings: ClientOptions) => C, times: SiblingTimes): C;
  /** Have *callback* called with each notice of a TCP connection; what comes back ends that. None come over HTTP. */
  subscribe(callback: NoticeCallback): () => void;
  /** Have calls that wait on the server's side answered soon, as if their wait had run out. */
  interruptWaits(): void;
  /** Have the next call make a new connection, where nothing is in flight on the one that there is. */
  closeIdle(): void;
}

/** Settings that no type of the package declares: the seam for tests, a client that is a view of another, a worker's. */
interface PrivateOptions extends ClientOptions {
  readonly _runtime?: Runtime;
  readonly _core?: ClientCore;
  readonly _silenceMs?: number | undefined;
}

interface Parts {
  readonly settings: PrivateOptions;
  readonly endpoint: Endpoint;
  readonly transport: Transport;
  readonly runtime: Runtime;
  readonly closing: AbortController;
  readonly log: Log;
}

export class ClientCore {
  readonly #parts: Parts;
  readonly #timeoutMs: number;
  readonly #policy: RetryPolicy;

  private constructor(parts: Parts, timeoutMs: number, policy: RetryPolicy) {
    this.#parts = parts;
    this.#timeoutMs = timeoutMs;
    this.#policy = policy;
  }

  /** The core of a client with *settings*. TypeError for what cannot be; it never shows the token. */
  static from(settings: PrivateOptions): ClientCore {
    if (settings._core !== undefined) return settings._core;
    const { timeoutMs = 30_000, retries = 5, retryBudgetMs = 30_000 } = settings;
    const endpoint = resolveEndpoint(settings);
    const log = logTo(settings.onLog);
    const transport = settings.transport ?? connectTo(endpoint, log, settings._silenceMs ?? null);
    const closing = new AbortController();
    setMaxListeners(0, closing.signal); // as many as calls that sleep before a repeat
    const parts: Parts = {
      settings,
      endpoint,
      transport,
      runtime: settings._runtime ?? RUNTIME,
      closing,
      log,
    };
    const policy = new RetryPolicy(
      duration('retries', retries),
      duration('retryBudgetMs', retryBudgetMs),
    );
    return new ClientCore(parts, duration('timeoutMs', timeoutMs), policy);
  }

  get endpoint(): Endpoint {
    return this.#parts.endpoint;
  }

  get transport(): Transport {
    return this.#parts.transport;
  }

  get runtime(): Runtime {
    return this.#parts.runtime;
  }

  /** Settings for a Client that is a view of this one. */
  with({ timeoutMs, retries, retryBudgetMs }: CallSettings): ClientOptions {
    const policy = new RetryPolicy(
      duration('retries', retries ?? this.#policy.retries),
      duration('retryBudgetMs', retryBudgetMs ?? this.#policy.budgetMs),
    );
    const core = new ClientCore(
      this.#parts,
      duration('timeoutMs', timeoutMs ?? this.#timeoutMs),
      policy,
    );
    return { _core: core } as PrivateOptions;
  }

  async close(): Promise<void> {
    this.#parts.closing.abort(clientClosed());
    await this.#parts.transport.close();
  }

  /** What *build* asks for, repeated as its retry class and the policy allow. A refusal of *build* rejects too. */
  async call<T>(build: () => Request<T>, signal?: AbortSignal): Promise<T> {
    const request = build();
    if (signal) setMaxListeners(0, signal); // each call takes its listeners off; many may share one signal
    const state = new RetryState(this.#policy, request.retry);
    for (;;) {
      signal?.throwIfAborted();
      if (this.#parts.closing.signal.aborted) throw clientClosed();
      let error: JobwireError;
      try {
        if (request.retry === 'never') await twoTurns();
        const timeoutMs = this.#timeoutMs + request.waitMs;
        return request.read(await this.transport.send(request, { timeoutMs, signal }));
      } catch (thrown) {
        if (signal?.aborted) throw signal.reason;
        if (!isJobwireError(thrown)) throw thrown;
        error = thrown;
      }
      const waitMs = state.after(error, this.runtime.monotonic(), this.runtime.random());
      if (waitMs === null) throw error;
      this.#logRetry(request, error, state.failures, waitMs);
      if (waitMs > 0) await this.pause(waitMs, signal);
    }
  }

  /** Sleep for *ms*; closing the client, or *signal*, ends that with an error. */
  async pause(ms: number, signal?: AbortSignal): Promise<void> {
    const closing = this.#parts.closing.signal;
    const { signal: either, release } = anySignal(signal, closing);
    try {
      await this.runtime.sleep(ms, either);
    } finally {
      release();
    }
  }

  internals(): ClientInternals {
    const { settings, transport, runtime, log, endpoint } = this.#parts;
    return {
      runtime,
      log,
      timeoutMs: this.#timeoutMs,
      hasUrl: settings.transport === undefined,
      isTcp: endpoint.isTcp,
      subscribe: (callback) => transport.subscribe(callback),
      interruptWaits: () => transport.interrupt(),
      closeIdle: () => transport.closeIdle(),
      sibling: (make, times) => make(this.#siblingSettings(times)),
    };
  }

  #siblingSettings({ timeoutMs, connectTimeoutMs, silenceMs }: SiblingTimes): PrivateOptions {
    const { settings, endpoint } = this.#parts;
    return {
      ...settings,
      url: String(endpoint), // and not what the environment says by now
      token: endpoint.token ?? undefined,
      timeoutMs: Math.min(timeoutMs, this.#timeoutMs),
      connectTimeoutMs: Math.min(connectTimeoutMs, endpoint.connectTimeoutMs),
      retries: 0,
      _silenceMs: silenceMs,
    };
  }

  /**
   * The second failure in a row to connect is a warning: it may be a wrong URL, and the caller would otherwise hear of it
   * only when the budget is used up. The first one is part of any restart of a server.
   */
  #logRetry(request: Request, error: JobwireError, failures: number, delayMs: number): void {
    const level = error.code === 'CONNECTION_FAILED' && failures === 2 ? 'warn' : 'info';
    const fields = { op: request.op, code: error.code, delayMs };
    this.#parts.log(level, `${request.op}: trying again (${error})`, fields);
  }
}

/**
 * Hear what reached the process while it was busy, such as the end of a connection: the first turn ends what is under way,
 * the second comes after the sockets were looked at. A request that must not be repeated is not risked on a dead one.
 */
async function twoTurns(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}

function connectTo(endpoint: Endpoint, log: Log, silenceMs: number | null): Transport {
  return endpoint.isTcp
    ? new TcpTransport(endpoint, log, silenceMs)
    : new HttpTransport(endpoint, silenceMs);
}

function duration(name: string, value: number): number {
  if (typeof value !== 'number' || !(value >= 0)) {
    throw new TypeError(`expected ${name} to be a number, 0 or more, got ${value}`);
  }
  return value;
}

/** A signal that follows both, and a way to stop following: AbortSignal.any keeps its sources' listeners. */
function anySignal(
  one: AbortSignal | undefined,
  other: AbortSignal,
): { signal: AbortSignal; release: () => void } {
  if (one === undefined) return { signal: other, release: () => {} };
  const both = new AbortController();
  const follow = (event: Event): void => both.abort((event.target as AbortSignal).reason);
  for (const source of [one, other]) {
    if (source.aborted) both.abort(source.reason);
    source.addEventListener('abort', follow, { once: true });
  }
  const release = (): void => {
    for (const source of [one, other]) source.removeEventListener('abort', follow);
  };
  return { signal: both.signal, release };
}
