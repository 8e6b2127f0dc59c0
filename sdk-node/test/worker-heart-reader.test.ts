/** What is made of the answers to heartbeats. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Job } from '../src/models.ts';
import { RUNTIME } from '../src/runtime.ts';
import { type Beat, clock, type ReportView } from '../src/worker-heart.ts';
import { HeartReader } from '../src/worker-heart-reader.ts';
import { HeldJob, HeldJobs } from '../src/worker-held.ts';
import { SharedLink } from '../src/worker-link.ts';

const SETTINGS = { heartbeatMs: 10_000, leaseMs: 30_000 };

/** A reader whose worker holds `a`, and a clock that stands still. */
class Reading {
  readonly rebuilt: number[] = [];
  quiet = 0;
  readonly held = new HeldJobs();
  readonly job = new HeldJob({ id: 'a', lease: '1-a' } as Job, 1000);
  readonly reader: HeartReader;

  constructor() {
    const runtime = { ...RUNTIME, monotonic: () => 0, random: () => 0 };
    const log = (): void => {};
    this.held.add(this.job);
    this.reader = new HeartReader({
      held: this.held,
      link: new SharedLink(runtime, log, () => {}),
      settings: SETTINGS,
      runtime,
      log,
      onDeaf: () => this.rebuilt.push(this.rebuilt.length),
      onQuiet: () => {
        this.quiet += 1;
      },
    });
  }

  beat(more: Partial<Beat> = {}): void {
    const now = clock();
    const report: ReportView = { free: 1, state: 'running', lastPullAt: now - 10 };
    const beat = {
      kind: 'beat',
      startedAt: now,
      endedAt: now,
      renewed: [],
      lost: [],
      cancelled: [],
    };
    this.reader.read({ ...beat, deaf: false, report, ...more } as Beat);
  }

  miss(at: number, code: string): void {
    const error = { code, message: '', retryable: true, retryAfterMs: null };
    this.reader.read({ kind: 'miss', at, ...error });
  }
}

test('a renewed lease lives on from when the heartbeat left', () => {
  const reading = new Reading();

  reading.beat({ startedAt: clock() - 2000, renewed: ['a\n1-a'] });

  const { expiresAt } = reading.job;
  assert.ok(expiresAt > 27_000 && expiresAt <= 28_000, `it ends at ${expiresAt}`);
});

test('a lost lease stops its handler, unless its settlement is on its way', () => {
  const [lost, sent, older] = [new Reading(), new Reading(), new Reading()];
  sent.job.isSent = true;

  lost.beat({ lost: ['a\n1-a'] });
  sent.beat({ lost: ['a\n1-a'] });
  older.beat({ lost: ['a\n0-a'] });

  assert.deepEqual(
    [lost, sent, older].map(({ job }) => job.reason),
    ['lease_lost', null, null],
  );
});

test('a cancelled job stops its handler, and a worker that drains knows when that is heard', () => {
  const reading = new Reading();

  reading.beat({ cancelled: ['a', 'other'] });
  assert.deepEqual([reading.job.reason, reading.quiet], ['cancel', 0]);
  reading.beat({ report: { free: 0, state: 'quiet', lastPullAt: null } });
  assert.equal(reading.quiet, 1);
});

test('a deaf worker fetches anew, but not for what was said while its event loop was blocked', () => {
  const reading = new Reading();

  reading.beat({ deaf: true, endedAt: clock() - 10_001 });
  assert.equal(reading.rebuilt.length, 0);
  reading.beat({ deaf: true });
  reading.beat({ deaf: true });
  assert.equal(reading.rebuilt.length, 1);
});

test('a heartbeat without an answer says nothing of the other connections', () => {
  const reading = new Reading();
  const before = clock() - 2000;

  reading.miss(clock() - 1000, 'TIMEOUT');
  reading.beat({ report: { free: 1, state: 'running', lastPullAt: before } });

  assert.equal(reading.rebuilt.length, 0);
});
