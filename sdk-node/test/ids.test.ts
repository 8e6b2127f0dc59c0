import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatUuid7, IdSource, uuid7 } from '../src/ids.ts';

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('formatUuid7() - the example of RFC 9562, appendix A.6', () => {
  const random = Uint8Array.from(Buffer.from('18c4dc0c0c07398f', 'hex'));
  const expected = '017f22e2-79b0-7cc3-98c4-dc0c0c07398f';
  assert.equal(expected, formatUuid7(0x017f22e279b0, 0xcc3, random));
});

test('uuid7() - ids only grow, also by thousands in a millisecond', () => {
  const ids = Array.from({ length: 20_000 }, () => uuid7());
  assert.ok(ids.every((id) => UUID7.test(id)));
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(ids.length, new Set(ids).size);
});

test('.next() - grows when the clock steps back, and past 4,096 ids in a millisecond', () => {
  let now = 1_000_000;
  const source = new IdSource(() => now);
  const ids = [source.next()];
  now -= 5_000;
  for (let count = 0; count < 5_000; count += 1) ids.push(source.next());
  now += 5_002;
  ids.push(source.next());
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(ids.length, new Set(ids).size);
});
