/** The heart: what it sends, and when. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorFor } from '../src/errors.ts';
import type { HeartbeatBatchResult, WorkerReport } from '../src/models.ts';
import { BlockDetector } from '../src/worker-core.ts';
import {
  type Beat,
  clock,
  Heart,
  type HeartClient,
  type HeartEvent,
  type HeldView,
  type ReportView,
} from '../src/worker-heart.ts';
import { Mirror } from '../src/worker-heart-mirror.ts';

const SETTINGS = {
  workerId: 'w',
  queues: ['q'],
  concurrency: 8,
  heartbeatMs: 10_000,
};
const NOTHING: HeartbeatBatchResult = { results: [], lost: [], cancelled: [], deaf: false };

function lease(id: string, endsAt: number | null = null): HeldView {
  return { id, lease: `1-${id}`, key: `${id}\n1-${id}`, endsAt };
}

// --- what it sends -------------------------------------------------------------------------------------------------

interface Call {
  readonly ids: string[];
  readonly worker: WorkerReport | undefined;
  readonly waitMs: number | undefined;
}

type Answer = HeartbeatBatchResult | Error | 'held';

/** A heart with a scripted client; `answers` are those of its calls, and the heart is stopped after the last one. */
class Bench implements HeartClient {
  readonly calls: Call[] = [];
  readonly singles: string[] = [];
  readonly events: HeartEvent[] = [];
  readonly slept: number[] = [];
  held: HeldView[] = [lease('a')];
  state: ReportView['state'] = 'running';
  #answers: Answer[] = [];
  onHeld: () => void = () => {};
  readonly heart = new Heart({
    client: this,
    settings: SETTINGS,
    view: { held: () => this.held, report: () => this.#report() },
    runtime: { random: () => 1, sleep: async (ms) => void this.slept.push(ms) },
    tell: (event) => this.events.push(event),
  });

  #report(): ReportView {
    return { free: 3, state: this.state, lastPullAt: clock() - 5.5 };
  }

  async heartbeatBatch(
    items: readonly { id: string }[],
    {
      worker,
      waitMs,
      signal,
    }: { worker?: WorkerReport; waitMs?: number; signal?: AbortSignal } = {},
  ): Promise<HeartbeatBatchResult> {
    this.calls.push({ ids: items.map(({ id }) => id), worker, waitMs });
    return this.#next(signal);
  }

  async heartbeat({ id }: { id: string }): Promise<{ leaseExpiresAt: null; cancelled: boolean }> {
    this.singles.push(id);
    await this.#next();
    return { leaseExpiresAt: null, cancelled: id === 'cancelled' };
  }

  async #next(signal?: AbortSignal): Promise<HeartbeatBatchResult> {
    const answer = this.#answers.shift();
    if (this.#answers.length === 0 && answer !== 'held') this.heart.stop();
    if (answer === 'held') {
      await new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason));
        this.onHeld();
      });
    }
    if (answer instanceof Error) throw answer;
    return answer as HeartbeatBatchResult;
  }

  async answers(...answers: Answer[]): Promise<void> {
    this.#answers = answers;
    await this.heart.run();
  }
}

test('a heartbeat names the leases and says how the worker is; the first one is hardly held', async () => {
  const bench = new Bench();

  await bench.answers(NOTHING, NOTHING);

  const [first, second] = bench.calls;
  assert.deepEqual(first?.ids, ['a']);
  const { lastPullMs, ...report } = first?.worker ?? { id: '' };
  assert.deepEqual(report, { id: 'w', queues: ['q'], concurrency: 8, free: 3, state: 'running' });
  assert.ok(lastPullMs !== undefined && lastPullMs >= 5);
  assert.deepEqual([first?.waitMs, second?.waitMs], [1, 10_000]);
});

test('more leases than a batch holds go in several, and one of them waits', async () => {
  const bench = new Bench();
  bench.held = Array.from({ length: 2001 }, (_, n) => lease(String(n)));

  await bench.answers({ ...NOTHING, lost: ['0'] }, NOTHING, { ...NOTHING, lost: ['2000'] });

  assert.deepEqual(
    bench.calls.map(({ ids, waitMs }) => [ids.length, waitMs]),
    [
      [1000, undefined],
      [1000, undefined],
      [1, 1],
    ],
  );
  assert.deepEqual((bench.events[0] as Beat).lost, ['0\n1-0', '2000\n1-2000']);
});

test('after a failure heartbeats are sent again, at once, then with growing pauses, and are not held', async () => {
  const bench = new Bench();
  const lost = errorFor('CONNECTION_LOST', 'gone');

  await bench.answers(NOTHING, lost, lost, lost, NOTHING, NOTHING);

  assert.deepEqual(bench.slept.slice(1, 3), [100, 200]); // the others are those after early answers
  assert.deepEqual(
    bench.calls.map(({ waitMs }) => waitMs),
    [1, 10_000, 0, 0, 0, 10_000],
  );
  assert.deepEqual(bench.events[1], {
    ...bench.events[1],
    kind: 'miss',
    code: 'CONNECTION_LOST',
    message: 'gone',
    retryable: true,
    retryAfterMs: null,
  });
});

test('a server of version 1 is asked job by job', async () => {
  const bench = new Bench();
  bench.held = [lease('a'), lease('gone'), lease('cancelled')];

  await bench.answers(errorFor('UNKNOWN_COMMAND'), NOTHING, errorFor('LEASE_LOST'), NOTHING);

  const [beat] = bench.events as Beat[];
  assert.deepEqual(bench.singles, ['a', 'gone', 'cancelled']);
  assert.deepEqual(beat?.renewed, ['a\n1-a', 'cancelled\n1-cancelled']);
  assert.deepEqual([beat?.lost, beat?.cancelled], [['gone\n1-gone'], ['cancelled']]);
});

test('a change of the worker ends the heartbeat that waits, and leaves at once', async () => {
  const bench = new Bench();
  bench.onHeld = () => {
    bench.state = 'quiet';
    bench.heart.poke();
  };

  await bench.answers(NOTHING, 'held', NOTHING);

  assert.deepEqual(
    bench.calls.map(({ worker, waitMs }) => [worker?.state, waitMs]),
    [
      ['running', 1],
      ['running', 10_000],
      ['quiet', 0],
    ],
  );
  assert.equal((bench.events.at(-1) as Beat).report.state, 'quiet');
});

test('a bug ends the heart with its error, so that it can be started again', async () => {
  await assert.rejects(new Bench().answers(new RangeError('a bug'), NOTHING), /a bug/);
});

// --- what a blocked event loop means for it ------------------------------------------------------------------------

test('a job whose own timeout is over is not kept alive by a blocked event loop', () => {
  const detector = new BlockDetector(1000);
  let now = 0;
  const report: ReportView = { free: 1, state: 'running', lastPullAt: null };
  const mirror = new Mirror(report, detector, 1000, () => now);
  const ids = (): string[] => mirror.held().map(({ id }) => id);
  mirror.update({ added: [lease('timed', 5000), lease('endless')], removed: [], report });

  now = 6000; // the event loop runs: it aborts the handler, and says what came of it
  assert.deepEqual(ids(), ['timed', 'endless']);
  detector.check(6000);
  now = 7000;
  assert.deepEqual(ids(), ['endless']);
  detector.answered(7000);
  assert.deepEqual(ids(), ['timed', 'endless']);
  mirror.update({ added: [], removed: ['timed\n1-timed'], report });
  assert.deepEqual(ids(), ['endless']);
});
