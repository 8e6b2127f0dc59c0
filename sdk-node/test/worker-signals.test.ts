/** Signals reach real processes: the first drains, the second ends the process at once. None outlives its work. */

import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '../src/client.ts';
import { until, WorkerServer } from './worker-server.ts';

const PROGRAM = fileURLToPath(new URL('./worker-program.js', import.meta.url));

/** A process with a worker, whose lines are read one by one. */
class Program implements AsyncDisposable {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #exit: Promise<unknown[]>;

  constructor(url: string, queue: string, graceMs: number) {
    this.process = spawn(process.execPath, [PROGRAM, url, queue, String(graceMs)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#exit = once(this.process, 'exit');
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string | undefined> {
    const { value } = await this.#lines.next();
    return value;
  }

  /** Exit code and signal. */
  exit(): Promise<unknown[]> {
    return this.#exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill('SIGKILL');
    await this.#exit;
  }
}

describe('a process', () => {
  const server = new WorkerServer();
  let queues = 0;
  let client: Client;

  before(async () => {
    await server.start();
    client = new Client({ url: server.url('http') });
  });
  after(async () => {
    await client.close();
    await server.stop();
  });

  /** The program at work on a job named *name*. */
  async function running(name: string, graceMs: number): Promise<[Program, string]> {
    queues += 1;
    const queue = `q${queues}`;
    const { id } = await client.push(queue, name, null, { maxAttempts: 1 });
    const program = new Program(server.url('tcp'), queue, graceMs);
    assert.equal(await program.line(), 'running');
    return [program, id];
  }

  /** Resolves when the server knows that the program takes no more jobs. */
  async function drains({ process: { pid } }: Program): Promise<void> {
    await until('the server knows', async () => {
      const workers = await client.listWorkers();
      return workers.some(({ id, state }) => id.includes(`-${pid}-`) && state === 'quiet');
    });
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`that gets ${signal} lets its jobs end, and ends by itself`, async () => {
      const [program, id] = await running('quick', 60_000);
      await using _ = program;

      program.process.kill(signal);
      await drains(program);
      program.process.stdin.write('done\n');

      assert.equal(await program.line(), 'drained');
      program.process.stdin.end();
      assert.deepEqual(await program.exit(), [0, null]);
      assert.equal((await client.getJob(id)).result, 'done');
    });
  }

  test('gives back what runs after the grace', async () => {
    const [program, id] = await running('polite', 0);
    await using _ = program;

    program.process.kill('SIGTERM');

    assert.equal(await program.line(), 'drained');
    program.process.stdin.end();
    assert.deepEqual(await program.exit(), [0, null]);
    const { state, attempt } = await client.getJob(id);
    assert.deepEqual([state, attempt], ['waiting', 0]);
    await client.cancel(id);
  });

  test('ends at the second signal at once', async () => {
    const [program, id] = await running('polite', 60_000);
    await using _ = program;
    program.process.kill('SIGTERM');
    const ended = program.exit();
    let hasEnded = false;
    void ended.then(() => {
      hasEnded = true;
    });

    await drains(program);
    while (!hasEnded) {
      program.process.kill('SIGTERM'); // signals that come together may be merged into one
      await Promise.race([ended, sleep(100)]);
    }

    assert.deepEqual(await ended, [null, 'SIGTERM']);
    await client.cancel(id);
  });

  test('that is killed while its event loop is blocked takes its heart with it', async () => {
    const [program, id] = await running('blocking', 60_000);
    await using _ = program;

    program.process.kill('SIGKILL');
    await program.exit();
    await server.advance(31_000);

    assert.equal((await client.getJob(id)).state, 'dlq');
  });
});
