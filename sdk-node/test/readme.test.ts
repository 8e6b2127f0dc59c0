/** The snippets of the README and of docs/sdks/node.md run as printed, against a server, each in a process of its own. */

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from '../src/client.ts';
import { FakeServer } from '../src/testing/index.ts';
import { ROOT } from './vectors.ts';

const HELLO_WORKER_LINES = 12;
const PAGES = ['sdk-node/README.md', 'docs/sdks/node.md'];
const TEXTS = PAGES.map((page) => readFileSync(new URL(page, ROOT), 'utf8'));
const [OF_README = [], OF_DOCS = []] = TEXTS.map((text) =>
  Array.from(text.matchAll(/^```js\n([\s\S]*?)^```/gm), ([, code = '']) => code),
);
/** The first one of the docs runs until it is told to stop. */
const [HELLO_WORKER = '', ...RECIPES] = OF_DOCS;
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
  assert.ok(OF_README.length >= 7, `${OF_README.length}`);
  assert.ok(OF_DOCS.length >= 11, `${OF_DOCS.length}`);
  for (const [index, snippets] of [OF_README, OF_DOCS].entries()) {
    assert.equal((TEXTS[index] ?? '').split('```js').length - 1, snippets.length);
  }
});

for (const [index, snippets] of [OF_README, RECIPES].entries()) {
  test(`${PAGES[index]}: every snippet runs, says nothing on stderr, and ends by itself`, async () => {
    await using fake = await FakeServer.start();
    for (const [number, snippet] of snippets.entries()) {
      const code = here(snippet, fake);
      const { stderr } = await run(process.execPath, ['--input-type=module', '-e', code]);
      assert.equal('', stderr, `snippet ${number}`);
    }
  });
}

test('the first worker does a job, and ends when it is told to', async () => {
  await using fake = await FakeServer.start();
  const client = new Client({ url: fake.url });
  const code = here(HELLO_WORKER, fake);
  const worker = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const gone = once(worker, 'exit');

  const { id } = await client.push('emails', 'welcome', { to: 'ada@example.com' });
  while ((await client.getJob(id)).state !== 'completed') await sleep(20);
  worker.kill('SIGTERM');

  assert.deepEqual(await gone, [0, null]);
  await client.close();
});

test('the first worker is short', () => {
  const lines = HELLO_WORKER.split('\n').filter((line) => line !== '');
  assert.ok(lines.length <= HELLO_WORKER_LINES, `${lines.length}`);
});
