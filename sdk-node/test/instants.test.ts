import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatInstant, parseInstant, wholeMs } from '../src/instants.ts';

test('parseInstant() - RFC 3339, of whose fraction three digits are kept', () => {
  const cases: [string, string][] = [
    ['2026-01-01T00:00:01Z', '2026-01-01T00:00:01.000Z'],
    ['2026-01-01T00:00:01.1Z', '2026-01-01T00:00:01.100Z'],
    ['2026-01-01T00:00:01.123999999Z', '2026-01-01T00:00:01.123Z'],
    ['2026-01-01t00:00:01z', '2026-01-01T00:00:01.000Z'],
    ['2026-01-01T02:30:01+02:30', '2026-01-01T00:00:01.000Z'],
    ['2025-12-31T22:00:01.5-02:00', '2026-01-01T00:00:01.500Z'],
  ];
  for (const [text, expected] of cases) assert.equal(expected, parseInstant(text)?.toISOString());
});

test('parseInstant() - what is no instant is null', () => {
  const bad = [
    '',
    'yesterday',
    '2026-01-01',
    '2026-01-01T00:00:01',
    '2026-13-01T00:00:00Z',
    '1767225601',
  ];
  for (const text of bad) assert.equal(null, parseInstant(text));
});

test('formatInstant() - UTC with milliseconds; what is no Date is refused', () => {
  assert.equal('2026-01-01T00:00:00.000Z', formatInstant(new Date(Date.UTC(2026, 0)), 'runAt'));
  for (const bad of [new Date(Number.NaN), '2026-01-01T00:00:00Z']) {
    assert.throws(() => formatInstant(bad as Date, 'runAt'), { code: 'VALIDATION_ERROR' });
  }
});

test('wholeMs() - rounds up, but not what is only the error of a float', () => {
  const cases = [0, 1, 0.4, 1.5, 100 * 1.1, 3155760000000].map((ms) => wholeMs(ms, 'delayMs'));
  assert.deepEqual([0, 1, 1, 2, 110, 3155760000000], cases);
  for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, 3155760000001, '5']) {
    assert.throws(() => wholeMs(bad as number, 'delayMs'), /delayMs must be/);
  }
});
