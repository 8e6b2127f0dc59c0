/** The snippets of the README run as printed, against a server, each in a process of its own. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { FakeServer } from '../src/testing/index.ts';
import { ROOT } from './vectors.ts';

const README = readFileSync(new URL('sdk-node/README.md', ROOT), 'utf8');
const SNIPPETS = Array.from(README.matchAll(/^```js\n([\s\S]*?)^```/gm), ([, code = '']) => code);
const run = promisify(execFile);

/** What the names and addresses of the README are here. */
function here(snippet: string, fake: FakeServer): string {
  const source = (path: string): string => `'${new URL(`../src/${path}`, import.meta.url)}'`;
  return snippet
    .replaceAll("'jobwire'", source('index.js'))
    .replaceAll("'jobwire/testing'", source('testing/index.js'))
    .replaceAll('http://localhost:6790', fake.url)
    .replaceAll('tcp://localhost:6789', fake.tcpUrl);
}

test('there are snippets', () => {
  assert.ok(SNIPPETS.length >= 7, `${SNIPPETS.length}`);
  assert.equal(README.split('```js').length - 1, SNIPPETS.length);
});

test('every snippet runs, says nothing on stderr, and ends by itself', async () => {
  await using fake = await FakeServer.start();
  for (const [index, snippet] of SNIPPETS.entries()) {
    const code = here(snippet, fake);
    const { stderr } = await run(process.execPath, ['--input-type=module', '-e', code]);
    assert.equal('', stderr, `snippet ${index}`);
  }
});
