import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';
import { Client } from '../src/client.ts';
import { resolveEndpoint } from '../src/endpoint.ts';

const NAMES = ['JOBWIRE_URL', 'JOBWIRE_TOKEN'];
const before = Object.fromEntries(NAMES.map((name) => [name, process.env[name]]));

beforeEach(() => {
  for (const name of NAMES) delete process.env[name];
});
afterEach(() => {
  for (const name of NAMES) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
});

test('resolveEndpoint() - scheme, host, port and path of a URL', () => {
  const cases: Record<string, string> = {
    'http://localhost:6790': 'http://localhost:6790',
    'http://example.org': 'http://example.org:80',
    'https://example.org/queue/': 'https://example.org:443/queue',
    'tcp://example.org': 'tcp://example.org:6789',
    'tcps://example.org:1234': 'tcps://example.org:1234',
    'tcp://[::1]:7': 'tcp://[::1]:7',
    'http://[::1]:7/a': 'http://[::1]:7/a',
    'tcp://żółć.example:1': 'tcp://xn--kda4b0koi.example:1',
    'https://żółć.example:1': 'https://xn--kda4b0koi.example:1',
  };
  for (const [url, expected] of Object.entries(cases)) {
    assert.equal(expected, String(resolveEndpoint({ url })), url);
  }
  assert.equal('::1', resolveEndpoint({ url: 'tcp://[::1]:7' }).host);
});

test('resolveEndpoint() - what cannot be is a TypeError that shows no secret', () => {
  const bad = [
    'secret',
    'ftp://h',
    'http://user:secret@h',
    'http://h?token=secret',
    'http://h#secret',
    'tcp://h/secret',
    'tcp://',
    'http://',
  ];
  for (const url of bad) {
    assert.throws(
      () => resolveEndpoint({ url }),
      (error: unknown) => error instanceof TypeError && !inspect(error).includes('secret@'),
      url,
    );
  }
  const badToken = { token: 'secret with spaces' };
  assert.throws(
    () => resolveEndpoint(badToken),
    (error: unknown) => error instanceof TypeError && !inspect(error).includes('secret'),
  );
  assert.throws(() => resolveEndpoint({ url: 'http://h', tls: {} }), TypeError);
  assert.throws(() => resolveEndpoint({ clientName: 'a b' }), TypeError);
  assert.throws(() => resolveEndpoint({ connectTimeoutMs: -1 }), TypeError);
});

test('the environment counts only where no argument is given', () => {
  assert.equal('http://localhost:6790', String(resolveEndpoint({})));
  process.env.JOBWIRE_URL = 'tcp://other:1';
  process.env.JOBWIRE_TOKEN = 'from-environment';
  assert.equal('tcp://other:1', String(resolveEndpoint({})));
  assert.equal('from-environment', resolveEndpoint({}).token);
  assert.equal('http://h:1', String(resolveEndpoint({ url: 'http://h:1' })));
  assert.equal('own', resolveEndpoint({ token: 'own' }).token);
});

test('a client shows where it connects to, and its token nowhere', () => {
  const client = new Client({ url: 'tcp://h:1', token: 'secret' });
  const shown = `${client} ${inspect(client, { depth: 9, showHidden: true })} ${JSON.stringify(client)}`;
  assert.match(shown, /tcp:\/\/h:1/);
  assert.doesNotMatch(shown, /secret/);
  assert.doesNotMatch(
    inspect(resolveEndpoint({ token: 'secret' }), { showHidden: true }),
    /secret/,
  );
});

test('new Client() - numbers that cannot be are a TypeError', () => {
  for (const options of [{ timeoutMs: -1 }, { retries: Number.NaN }, { retryBudgetMs: '5' }]) {
    assert.throws(() => new Client(options as object), TypeError);
  }
  assert.throws(() => new Client().withOptions({ timeoutMs: -1 }), TypeError);
});
