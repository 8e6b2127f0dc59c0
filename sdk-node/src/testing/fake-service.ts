/**
 * What stands between the doors of the fake server and its queue: requests that wait, faults, and the record of calls.
 *
 * A request is carried out at once and as a whole, since there is one thread; each change wakes all who wait, in the order
 * in which they came.
 */

import type { Operation } from '../routes.ts';
import type { Caller } from './fake-answers.ts';
import type { Answer, Refused } from './fake-job.ts';
import { plain } from './fake-json.ts';
import { FakeOperations, isEmptyHanded } from './fake-operations.ts';
import { addNews } from './fake-operations-work.ts';
import type { FakeState } from './fake-state.ts';

const WAITING: ReadonlySet<string> = new Set(['pull', 'heartbeat_batch']);

/** The name of an operation; `ready` and `live` no client asks for. */
export type OperationName = Operation | 'ready' | 'live';

/** One request that reached the fake: the operation, its fields as sent, and the door. */
export interface Call {
  readonly operation: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly door: 'http' | 'tcp';
}

/** A request that may be held. */
export class Waiter {
  /** Of a pull that names one. */
  requestId: unknown;
  #isOver = false;
  #wake: () => void = () => {};

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Answer it as though its wait had run out; also when nobody can take the answer any more. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  wake(): void {
    this.#wake();
  }

  /** Resolves at the next `wake`, or after *ms*. */
  async sleep(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }
}

/** The request was carried out, and its answer must not be sent: the door closes the connection. */
export class Dropped extends Error {}

/** The request is neither carried out nor answered, as behind a network that lost its way; the connection stays. */
export class Swallowed extends Error {}

/** What goes wrong next, by operation. */
export interface Faults {
  readonly dropped: Map<string, number>;
  readonly swallowed: Map<string, number>;
  readonly refusals: Map<string, Refused[]>;
}

interface Claim {
  readonly holds: () => boolean;
  readonly met: () => void;
}

export class FakeService {
  readonly state: FakeState;
  readonly operations: FakeOperations;
  readonly token: string | null;
  readonly faults: Faults = { dropped: new Map(), swallowed: new Map(), refusals: new Map() };
  readonly #calls: {
    readonly operation: string;
    readonly fields: unknown;
    readonly door: string;
  }[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #claims = new Set<Claim>();

  constructor(state: FakeState, token: string | null) {
    this.state = state;
    this.operations = new FakeOperations(state);
    this.token = token;
  }

  get calls(): Call[] {
    return this.#calls.map((call) => ({ ...call, fields: plain(call.fields) }) as Call);
  }

  countOf(operation: string): number {
    return this.#calls.filter((call) => call.operation === operation).length;
  }

  /**
   * Carry out one request, holding it while it may wait.
   *
   * Rejects with Refused for an error answer, and with Dropped or Swallowed when a fault says so.
   */
  async handle(
    operation: string,
    fields: Answer,
    caller: Caller,
    waiter: Waiter = new Waiter(),
  ): Promise<Answer> {
    this.#calls.push({ operation, fields, door: caller.door });
    this.tell();
    this.#failByFault(operation);
    let answer = this.operations.run(operation, fields, caller);
    if (operation === 'pull') this.#sendAway(fields.request_id);
    if (WAITING.has(operation) && fields.wait_ms && isEmptyHanded(operation, answer)) {
      answer = await this.#hold(operation, fields, caller, answer, waiter);
    }
    this.changed();
    if (isUsed(this.faults.dropped, operation)) throw new Dropped(operation);
    return answer;
  }

  /** Something is different now: send the notices, and wake all who wait. */
  changed(): void {
    const { notices } = this.state;
    this.state.notices = [];
    for (const [session, notice] of notices) session.notify(notice);
    for (const waiter of this.#waiters) waiter.wake();
    this.tell();
  }

  /** Answer every held request as though its wait had run out. */
  endWaits(): void {
    for (const waiter of this.#waiters) waiter.end();
  }

  /** True once *holds* does, false when it does not within *timeoutMs*; it is asked after each request and change, and at each `tell`. */
  async waitUntil(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    if (holds()) return true;
    let timer: NodeJS.Timeout | undefined;
    let claim: Claim | undefined;
    const found = await new Promise<boolean>((resolve) => {
      claim = { holds, met: () => resolve(true) };
      this.#claims.add(claim);
      timer = setTimeout(resolve, timeoutMs, false);
    });
    clearTimeout(timer);
    if (claim !== undefined) this.#claims.delete(claim);
    return found;
  }

  /** Whoever asks again has left the pull that waits: what that took now, nobody would have (JW-PULL-11). */
  #sendAway(requestId: unknown): void {
    if (typeof requestId !== 'string') return;
    for (const waiter of this.#waiters) if (waiter.requestId === requestId) waiter.end();
  }

  /** Hold the request until there is something to say, or its wait is over on the real or the virtual clock. */
  async #hold(
    operation: string,
    fields: Answer,
    caller: Caller,
    first: Answer,
    waiter: Waiter,
  ): Promise<Answer> {
    const waitMs = Number(fields.wait_ms);
    const virtualEnd = this.state.now + waitMs;
    const realEnd = performance.now() + waitMs;
    let answer = first;
    waiter.requestId = fields.request_id;
    this.#waiters.add(waiter);
    try {
      for (;;) {
        const left = realEnd - performance.now();
        if (left <= 0 || this.state.now >= virtualEnd || waiter.isOver) return answer;
        await waiter.sleep(left);
        if (waiter.isOver) return answer; // nothing is claimed for a connection that is gone
        answer = this.#again(operation, fields, caller, answer);
        if (!isEmptyHanded(operation, answer)) return answer;
      }
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  #again(operation: string, fields: Answer, caller: Caller, answer: Answer): Answer {
    if (operation === 'pull') return this.operations.run(operation, fields, caller);
    // Not the whole operation: a held heartbeat renews its leases once, when it comes.
    return addNews(this.state, answer, (fields.worker as { id: string }).id);
  }

  /** Have those asked again who wait for something to hold. */
  tell(): void {
    for (const claim of this.#claims) if (claim.holds()) claim.met();
  }

  #failByFault(operation: string): void {
    if (isUsed(this.faults.swallowed, operation)) throw new Swallowed(operation);
    const refusal = this.faults.refusals.get(operation)?.shift();
    if (refusal !== undefined) throw refusal;
  }
}

/** Whether a fault is planned for this request; it is then used up. */
function isUsed(planned: Map<string, number>, operation: string): boolean {
  const left = planned.get(operation) ?? 0;
  if (left > 0) planned.set(operation, left - 1);
  return left > 0;
}
