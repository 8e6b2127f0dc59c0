/** A real `jobwire serve` in test mode on 127.0.0.1, on ports that are free, keeping nothing; and what tests of workers share. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Client } from '../src/client.ts';
import type { Job, JobState } from '../src/models.ts';
import type { JobContext } from '../src/worker-context.ts';

const COMMAND = fileURLToPath(new URL('../../../.venv/bin/jobwire', import.meta.url));
const PATIENCE_MS = 20_000;

interface Ports {
  readonly http: number;
  readonly tcp: number;
}

export class WorkerServer {
  #process: ChildProcess | null = null;
  #ports: Ports = { http: 0, tcp: 0 };
  #controlUrl = '';
  readonly #storage: string;

  constructor(storage = 'memory://') {
    this.#storage = storage;
  }

  /** Start it, on the ports that it had if it ran before. */
  async start(): Promise<this> {
    const { http, tcp } = this.#ports;
    const args = [
      ...['serve', '--storage', this.#storage, '--log-format', 'json', '--test-mode'],
      ...['--http-port', `${http}`, '--tcp-port', `${tcp}`, '--test-port', '0'],
    ];
    const child = spawn(COMMAND, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    const lines = createInterface({ input: child.stderr });
    for await (const line of lines) {
      const said = JSON.parse(line) as Record<string, unknown>;
      if (said.event !== 'server.started') continue;
      this.#ports = { http: Number(said.http), tcp: Number(said.tcp) };
      this.#controlUrl = String(said.control);
      child.stderr.resume(); // a server whose log nobody reads stops when the pipe is full
      return this;
    }
    throw new Error('the server did not start');
  }

  url(scheme: 'http' | 'tcp'): string {
    return `${scheme}://127.0.0.1:${this.#ports[scheme]}`;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** Have the next *times* requests of *op* meet *action*. */
  async fault(op: string, action: string, more: Record<string, unknown> = {}): Promise<void> {
    await this.#control('fault', { op, action, ...more });
  }

  /** Whether every fault has been met as often as it should be. */
  async isFaultless(): Promise<boolean> {
    const { faults } = await this.#control('faults');
    return (faults as { times: number; hits: number }[]).every(({ times, hits }) => hits >= times);
  }

  /** Where its clock and its faults are. */
  get controlUrl(): string {
    return this.#controlUrl;
  }

  /** Move the server's clock by *ms*; what is due by then comes about. */
  async advance(ms: number): Promise<void> {
    await this.#control('clock/freeze', {});
    await this.#control('clock/advance', { ms });
    await this.#control('clock/release', {});
  }

  async #control(path: string, body?: unknown): Promise<Record<string, unknown>> {
    const post = { method: 'POST', headers: { 'Content-Type': 'application/json' } };
    const how = body === undefined ? {} : { ...post, body: JSON.stringify(body) };
    const answer = await fetch(`${this.#controlUrl}/_test/${path}`, how);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }
}

/** Resolves when *claim* holds. */
export async function until(what: string, claim: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await claim())) {
    if (performance.now() > end) throw new Error(`it did not come about: ${what}`);
    await sleep(10);
  }
}

/** The job, once it is in *state*. */
export async function ends(client: Client, id: string, state: JobState): Promise<Job> {
  let job = await client.getJob(id);
  await until(`job ${id} is ${state}`, async () => {
    job = await client.getJob(id);
    return job.state === state;
  });
  return job;
}

/** A promise and what resolves it. */
export function gate<T = void>(): {
  readonly opened: Promise<T>;
  readonly open: (value: T) => void;
} {
  let open: (value: T) => void = () => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** A handler that runs until it is let go, and does not listen to its signal. */
export class Deaf {
  readonly entered = gate();
  readonly #left = gate();

  readonly handle = async (): Promise<void> => {
    this.entered.open();
    await this.#left.opened;
  };

  letGo(): void {
    this.#left.open();
  }
}

/** A handler that runs until its signal aborts, and keeps the reason. */
export class Listener {
  readonly entered = gate();
  reason: unknown = null;

  readonly handle = async (_job: Job, { signal }: JobContext): Promise<void> => {
    this.entered.open();
    await sleep(20_000, undefined, { signal }).catch((error: unknown) => {
      this.reason = signal.reason.reason;
      throw error;
    });
  };
}
