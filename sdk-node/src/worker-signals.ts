/** SIGTERM and SIGINT: the first one drains, the second one ends the process at once. */

import { constants } from 'node:os';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Have *onFirst* called at the first signal; what comes back takes the handlers off.
 *
 * Nothing is done in a thread that is not the main one, where no signals arrive. An event loop that is blocked hears no
 * signal before it runs again, neither the first nor the second; SIGKILL ends such a process.
 */
export function onSignals(onFirst: (name: string) => void): () => void {
  let count = 0;
  const listener = (name: NodeJS.Signals): void => {
    count += 1;
    if (count === 1) {
      onFirst(name);
      return;
    }
    release();
    // With nobody else listening, the signal's own effect comes back, and parents see what ended the process.
    if (process.listenerCount(name) === 0) process.kill(process.pid, name);
    else process.exit(128 + constants.signals[name]);
  };
  const release = (): void => {
    for (const name of SIGNALS) process.removeListener(name, listener);
  };
  for (const name of SIGNALS) process.on(name, listener);
  return release;
}
