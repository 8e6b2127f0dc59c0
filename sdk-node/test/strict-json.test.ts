import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobTexts, rawMember } from '../src/json-text.ts';
import { decode, encode } from '../src/strict-json.ts';
import { vectors } from './vectors.ts';

interface JsonVector {
  id: string;
  text: string;
  exact: boolean;
}

const VECTORS = vectors<JsonVector>('json_values');
const NUMBERS = { bigints: false };
const BIGINTS = { bigints: true };

test('the vectors are there', () => {
  assert.ok(VECTORS.length >= 70, `${VECTORS.length} vectors`);
});

for (const { id, text, exact } of VECTORS) {
  test(`decode() and encode() - vector ${id}`, () => {
    const value = decode(text, NUMBERS);
    assert.deepEqual(JSON.parse(text), value);
    // What no number can hold is never sent back changed.
    if (value === Number.POSITIVE_INFINITY) assert.throws(() => encode(value), /not JSON/);
    else assert.deepEqual(value, decode(encode(value), NUMBERS));
    if (exact) assert.deepEqual(JSON.parse(text), JSON.parse(encode(value)));
  });

  test(`decode() with bigints - vector ${id}`, () => {
    const value = decode(text, BIGINTS);
    if (/^-?[0-9]+$/.test(text)) assert.equal(BigInt(text), BigInt(value as number));
    else assert.deepEqual(JSON.parse(text), value);
  });

  test(`rawMember() and JobTexts - vector ${id}, wherever it stands`, () => {
    const job = `{"id":"a","data": ${text} ,"x":"\\"}{","result":${text}}`;
    assert.equal(text, rawMember(job, 'data'));
    assert.equal(text, rawMember(job, 'result'));
    assert.equal(null, rawMember(job, 'metadata'));
    const texts = new JobTexts(`{"ok":true,"jobs":[ ${job},${job} , {}],"rid":1}`);
    assert.deepEqual(
      [job, job, '{}', ''],
      [0, 1, 2, 3].map((index) => texts.at(index)),
    );
    assert.equal(job, new JobTexts(`{"job":1,"job": ${job}}`).at(0));
  });
}

test('decode() - integers of any size, wherever they stand, and nothing else becomes a bigint', () => {
  const text =
    '{"a":[9007199254740993,-9223372036854775808],"b":{"c":123456789012345678901234567890},"d":9007199254740991,"e":12345678901234567000.0,"f":"9007199254740993","g":1e400}';
  assert.deepEqual(
    {
      a: [9007199254740993n, -9223372036854775808n],
      b: { c: 123456789012345678901234567890n },
      d: 9007199254740991,
      e: 12345678901234567000,
      f: '9007199254740993',
      g: Number.POSITIVE_INFINITY,
    },
    decode(text, BIGINTS),
  );
  assert.equal('[9007199254740993]', encode(decode('[9007199254740993]', BIGINTS)));
  const own = decode('{"__proto__":{"x":9007199254740993}}', BIGINTS) as object;
  assert.deepEqual(['__proto__'], Object.keys(own));
});

test('decode() - what is no JSON is a SyntaxError', () => {
  for (const bad of [
    '',
    '{',
    '{"a":1,}',
    "{'a':1}",
    'NaN',
    '[1] 2',
    '01',
    '\ufeff{}',
    '"\n"',
    '+1',
  ]) {
    assert.throws(() => decode(bad, NUMBERS), SyntaxError, bad);
    assert.throws(() => decode(bad, BIGINTS), SyntaxError, bad);
  }
  const deep = '['.repeat(50_000) + ']'.repeat(50_000);
  assert.throws(() => decode(deep.replace('[]', '[9007199254740993]'), BIGINTS), SyntaxError);
});

test('encode() - toJSON is honoured, undefined members are left out', () => {
  const when = new Date('2030-01-01T00:00:00Z');
  const value = { when, none: undefined, nested: { toJSON: () => [1, null] }, big: 2n ** 64n };
  const expected =
    '{"when":"2030-01-01T00:00:00.000Z","nested":[1,null],"big":18446744073709551616}';
  assert.equal(expected, encode(value));
});

test('encode() - what cannot be sent is refused, and the payload is not shown', () => {
  const circle: Record<string, unknown> = { secret: 'payload' };
  circle.self = circle;
  const bad = [
    Number.NaN,
    [Number.POSITIVE_INFINITY],
    { secret: 'payload\ud800' },
    { 'payload\udc00': 1 },
    circle,
    [undefined],
    { f: () => 'payload' },
    [Symbol('payload')],
    new Map([['payload', 1]]),
    { s: new Set(['payload']) },
    new Uint8Array(3),
    Promise.resolve('payload'),
  ];
  for (const value of bad) {
    assert.throws(
      () => encode(value),
      (error: Error & { code?: string }) =>
        error.code === 'VALIDATION_ERROR' && !error.message.includes('payload'),
    );
  }
});
