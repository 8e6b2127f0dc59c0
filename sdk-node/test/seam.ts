/** Time and chance for tests: sleeps are told and not slept, and the dice always fall alike. */

import { Client } from '../src/client.ts';
import type { ClientOptions } from '../src/options.ts';
import type { Runtime } from '../src/runtime.ts';

export interface Seam {
  readonly runtime: Runtime;
  /** Milliseconds that were slept, in order. */
  readonly sleeps: number[];
}

export function seam(u = 0.5): Seam {
  const sleeps: number[] = [];
  const state = { now: 0, ids: 0 };
  const runtime: Runtime = {
    now: () => state.now,
    monotonic: () => state.now,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      sleeps.push(ms);
      state.now += ms;
    },
    random: () => u,
    newId: () => {
      state.ids += 1;
      return `id-${state.ids}`;
    },
  };
  return { runtime, sleeps };
}

/** A client on *runtime*. */
export function clientOn(runtime: Runtime, options: ClientOptions): Client {
  return new Client({ ...options, _runtime: runtime } as ClientOptions);
}
