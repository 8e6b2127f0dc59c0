/** Fetching with a scripted connection: what is asked for, over which line, and what becomes of it when the worker drains. */

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { errorFor } from '../src/errors.ts';
import type { Job } from '../src/models.ts';
import type { PullOptions } from '../src/options.ts';
import { RUNTIME, type Runtime } from '../src/runtime.ts';
import { Slots } from '../src/worker-core.ts';
import { type FetchClient, Fetcher } from '../src/worker-fetcher.ts';
import { SharedLink } from '../src/worker-link.ts';
import { after, Changes, keep } from '../src/worker-loops.ts';
import { checkOptions } from '../src/worker-options.ts';

type Answer = readonly Job[] | Error;

function job(id: string): Job {
  return { id } as Job;
}

/** A fetcher whose connections answer what the test says: `pulls` are the questions, in order, with their line. */
class Bench {
  readonly pulls: (PullOptions & { readonly line: number; answer: (answer: Answer) => void })[] =
    [];
  readonly accepted: string[] = [];
  readonly slept: number[] = [];
  readonly errors: unknown[] = [];
  lines = 0;
  /** Whether the server answers a pull that is interrupted. */
  hears = true;
  failures = 0;
  readonly changes = new Changes();
  readonly slots = new Slots(2);
  readonly fetcher: Fetcher;

  constructor() {
    let ids = 0;
    const runtime: Runtime = {
      ...RUNTIME,
      random: () => 1,
      newId: () => {
        ids += 1;
        return `request ${ids}`;
      },
      sleep: async (ms) => {
        this.slept.push(ms);
        await new Promise(setImmediate);
      },
    };
    const log = (): void => {};
    this.fetcher = new Fetcher({
      connect: () => this.#line(),
      slots: this.slots,
      changes: this.changes,
      link: new SharedLink(runtime, log, () => {}),
      runtime,
      log,
      settings: checkOptions({ queues: 'q', names: ['n'], weights: [2] }, () => 'w'),
      loop: { runtime, log, onError: (error) => this.errors.push(error) },
      accept: (jobs) => this.accepted.push(...jobs.map(({ id }) => id)),
      onNotice: () => {},
      onPull: () => {},
      onFailure: () => {
        this.failures += 1;
      },
    });
    this.fetcher.start();
  }

  #line(): FetchClient {
    this.lines += 1;
    const line = this.lines;
    const mine = () => this.pulls.filter((pull) => pull.line === line);
    return {
      pull: (_queues, options) =>
        new Promise((resolve, reject) => {
          const answer = (given: Answer): void =>
            given instanceof Error ? reject(given) : resolve(given);
          this.pulls.push({ ...options, line, answer });
          this.changes.tell();
        }),
      subscribe: () => {},
      interruptWaits: () => {
        if (this.hears) mine().at(-1)?.answer([]);
      },
      close: async () => {
        for (const pull of mine()) pull.answer(errorFor('CLIENT_CLOSED'));
      },
    };
  }

  /** The pull with this number, once it has left. */
  async pull(number: number): Promise<Bench['pulls'][number]> {
    await this.changes.until(() => this.pulls.length >= number);
    const found = this.pulls[number - 1];
    assert.ok(found);
    return found;
  }
}

test('a pull asks for the free slots, with all that was said of it', async () => {
  const bench = new Bench();

  const { line, answer, ...asked } = await bench.pull(1);
  answer([job('a')]);
  const next = await bench.pull(2);
  await bench.fetcher.drain();

  assert.deepEqual(asked, {
    count: 2,
    waitMs: 20_000,
    leaseMs: 30_000,
    names: ['n'],
    workerId: 'w',
    requestId: 'request 1',
    weights: [2],
  });
  assert.deepEqual([next.count, next.requestId, bench.accepted], [1, 'request 2', ['a']]);
});

test('a pull without an answer is repeated as it was, first at once, and not held', async () => {
  const bench = new Bench();

  for (const number of [1, 2, 3]) (await bench.pull(number)).answer(errorFor('CONNECTION_LOST'));
  (await bench.pull(4)).answer([job('a'), job('b')]);
  await bench.changes.until(() => bench.accepted.length === 2);
  await bench.fetcher.drain();

  assert.deepEqual(
    bench.pulls.map(({ requestId, waitMs }) => [requestId, waitMs]),
    [
      ['request 1', 20_000],
      ['request 1', 0],
      ['request 1', 0],
      ['request 1', 0],
    ],
  );
  assert.deepEqual(bench.slept.slice(0, 2), [100, 200]);
  assert.equal(bench.failures, 3);
});

test('nothing is asked for while no slot is free', async () => {
  const bench = new Bench();

  (await bench.pull(1)).answer([job('a'), job('b')]);
  await bench.changes.until(() => bench.accepted.length === 2);
  await new Promise(setImmediate);
  assert.equal(bench.pulls.length, 1);
  bench.slots.vacate();
  bench.changes.tell();
  assert.equal((await bench.pull(2)).count, 1);
  await bench.fetcher.drain();
});

test('a new line takes over the open pull, and what the old one still brings is left to it', async () => {
  const bench = new Bench();
  const old = await bench.pull(1);

  bench.fetcher.restart();
  const taken = await bench.pull(2);
  old.answer([job('a')]);
  taken.answer([job('a')]);
  await bench.changes.until(() => bench.accepted.length > 0);
  await bench.fetcher.drain();

  assert.deepEqual([old.line, taken.line, old.requestId === taken.requestId], [1, 2, true]);
  assert.deepEqual([bench.accepted, bench.slots.held], [['a'], 1]);
});

test('a pull that is unanswered when the worker drains is asked once more, over a new line', async () => {
  const bench = new Bench();
  bench.hears = false;
  (await bench.pull(1)).answer(errorFor('CONNECTION_LOST'));
  const second = await bench.pull(2);
  const draining = bench.fetcher.drain();
  second.answer(errorFor('CONNECTION_LOST'));

  const last = await bench.pull(3);
  last.answer([job('late')]);
  await draining;

  assert.deepEqual([last.line, last.waitMs, last.requestId], [2, 0, 'request 1']);
  assert.deepEqual(bench.accepted, ['late']);
});

test('a loop that dies of a bug is reported and started again, ever more slowly, until it is ended', async () => {
  const ending = new AbortController();
  const slept: number[] = [];
  const errors: unknown[] = [];
  const lines: string[] = [];
  const runtime: Runtime = {
    ...RUNTIME,
    random: () => 1,
    sleep: async (ms) => {
      slept.push(ms);
      if (slept.length === 4) ending.abort();
    },
  };
  const loop = async (): Promise<void> => {
    throw new RangeError('a bug');
  };

  await keep('fetch', loop, ending.signal, {
    runtime,
    log: (_level, message) => lines.push(message),
    onError: (error) => errors.push(error),
  });

  assert.deepEqual(slept, [0, 100, 200, 400]);
  assert.equal(errors.length, 4);
  assert.equal(lines[0], 'a loop of the worker died and is started again: fetch');
});

test('a timer may be longer than setTimeout can', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  let rings = 0;
  try {
    after(2 ** 31 + 1000, () => {
      rings += 1;
    });
    mock.timers.tick(2 ** 31);
    assert.equal(rings, 0);
    mock.timers.tick(2000);
    assert.equal(rings, 1);
  } finally {
    mock.timers.reset();
  }
});
