/** Which function runs a job, and what of the job's data reaches it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Job } from '../src/models.ts';
import type { JobContext } from '../src/worker-context.ts';
import { type DataSchema, HandlerTable } from '../src/worker-handlers.ts';

const JOB = { id: 'j1', lease: '1-a', name: 'welcome', data: { n: 1 } } as unknown as Job;

function tableWith(data?: DataSchema<unknown>): HandlerTable {
  const table = new HandlerTable();
  table.add('welcome', (job) => job.data, data);
  return table;
}

async function run(table: HandlerTable, job = JOB): Promise<unknown> {
  return table.wrapped(undefined).get('welcome')?.(job, {} as JobContext);
}

const asNumber = (value: unknown): unknown => {
  if (typeof value !== 'number') throw new RangeError('no number');
  return value;
};
const STANDARD: DataSchema<unknown> = {
  '~standard': {
    validate: async (value) =>
      typeof value === 'number' ? { value } : { issues: [{ message: 'no number' }] },
  },
};

for (const [what, schema] of [
  ['a function', asNumber],
  ['parse', { parse: asNumber }],
  ['a Standard Schema', STANDARD],
  ['a function that is a Standard Schema', Object.assign(() => 'not this', STANDARD)],
] as const) {
  test(`data is made by ${what}, and a misfit is never tried again`, async () => {
    const table = tableWith(schema);

    assert.equal(await run(table, { ...JOB, data: 7 } as Job), 7);
    await assert.rejects(run(table), {
      name: 'Discard',
      reason: "the job's data does not fit: no number",
    });
  });
}

test('what a job makes when it is asked for is there beside data that was made', async () => {
  let asked = 0;
  class Snapshot {
    readonly data = 1;
    get rawData(): string {
      asked += 1;
      return '1.0';
    }
  }
  const table = new HandlerTable();
  table.add(
    'welcome',
    (job) => [job.data, asked, job.rawData],
    (value) => Number(value) * 2,
  );

  assert.deepEqual(await run(table, new Snapshot() as unknown as Job), [2, 0, '1.0']);
});

test('a wrapper goes around every handler once, and a handler need not be async', async () => {
  let wraps = 0;
  const table = new HandlerTable();
  table.add('welcome', () => 'inner');
  const wrapped = table.wrapped((next) => {
    wraps += 1;
    return async (job, ctx) => `outer ${await next(job, ctx)}`;
  });

  assert.equal(await wrapped.get('welcome')?.(JOB, {} as JobContext), 'outer inner');
  assert.equal(await wrapped.get('welcome')?.(JOB, {} as JobContext), 'outer inner');
  assert.equal(wraps, 1);
});

test('a handler that cannot be is refused when it is registered', () => {
  const table = tableWith();

  assert.throws(() => table.add('welcome', () => {}), /already/);
  assert.throws(() => table.add('', () => {}), /expected the name of a job/);
  assert.throws(
    () => table.add('other', 'x' as never),
    /expected a handler for 'other' to be a function/,
  );
  assert.throws(() => table.add('other', () => {}, 7 as never), /expected data/);
});
