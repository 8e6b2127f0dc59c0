/** The operations of the fake server: fields in, the answer of spec/wire.yaml out. Both doors use this one table. Pure. */

import { DEFAULTS } from '../limits.ts';
import { VERSION } from '../version.ts';
import { announced, type Caller, type Operation, SERVER, WIRE_VERSIONS } from './fake-answers.ts';
import { check } from './fake-check.ts';
import type { Members } from './fake-checks.ts';
import { type Answer, Refused } from './fake-job.ts';
import { READS } from './fake-operations-read.ts';
import { noteReport, WORK } from './fake-operations-work.ts';
import type { FakeState } from './fake-state.ts';

export class FakeOperations {
  readonly state: FakeState;
  /** True from a SIGTERM on: pulls are refused. */
  isDraining = false;
  readonly #startedAt: number;

  constructor(state: FakeState) {
    this.state = state;
    this.#startedAt = state.now;
  }

  /** Check the fields and carry the operation out; throws Refused, and then nothing has changed. */
  run(operation: string, fields: unknown, caller: Caller): Answer {
    const checked = check(operation, fields);
    if (operation === 'pull' && this.isDraining) {
      throw new Refused('SHUTTING_DOWN', 'The server is draining; nothing was done');
    }
    const own = this.#own[operation];
    return own === undefined
      ? (OPERATIONS[operation]?.(this.state, checked as never, caller) ?? {})
      : own();
  }

  /** The greeting of a TCP session; the door takes `v` from the answer. */
  hello(fields: Members, caller: Caller): Answer {
    const offered = fields.v as readonly number[];
    const common = offered.filter((version) => WIRE_VERSIONS.includes(version));
    if (common.length === 0) {
      const message = 'hello named no wire version that this server speaks';
      throw new Refused('UNSUPPORTED_VERSION', message, { supported: WIRE_VERSIONS });
    }
    if (fields.worker !== undefined) {
      noteReport(this.state, fields.worker as Answer & { id: string }, caller);
    }
    const v = Math.max(...common);
    return { v, server: SERVER, ...announced(), heartbeat_ms: DEFAULTS.heartbeat_ms };
  }

  /** What is asked about the server itself. */
  readonly #own: Readonly<Record<string, () => Answer>> = {
    health: () => ({
      status: this.isDraining ? 'draining' : 'healthy',
      version: VERSION,
      uptime_seconds: Math.floor((this.state.now - this.#startedAt) / 1000),
      durability: 'memory',
      storage: 'fake',
    }),
    ready: () => {
      if (this.isDraining) throw new Refused('SHUTTING_DOWN', 'The server is draining');
      return { status: 'ready' };
    },
    live: () => ({ status: 'live' }),
    capabilities: () => ({ server: SERVER, wire: WIRE_VERSIONS, ...announced() }),
    ping: () => ({}),
  };
}

const OPERATIONS: Readonly<Record<string, Operation<never>>> = { ...WORK, ...READS };

/** Whether a request that may wait has nothing to answer yet. */
export function isEmptyHanded(operation: string, answer: Answer): boolean {
  const { jobs, job, lost, cancelled, deaf } = answer as Record<string, unknown[]>;
  if (operation === 'pull') return !job && !jobs?.length;
  return !lost?.length && !cancelled?.length && !deaf;
}
