/**
 * FakeServer against the contract that every server has to keep: the tests of sdk-python/tests/contract, over both doors.
 *
 * A fake may not invent behaviour; the same tests run against the real server.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ROOT } from './vectors.ts';

const LONGEST_MS = 300_000; // on a starved machine; it takes some ten seconds

/** What a command says, and how it ends; it is killed after LONGEST_MS. */
function run(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv) {
  return new Promise<{ code: unknown; said: string }>((resolve) => {
    execFile(command, args, { cwd, env, timeout: LONGEST_MS }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), said: stdout + stderr });
    });
  });
}

test('FakeServer keeps the contract of the specification', {
  timeout: LONGEST_MS + 10_000,
}, async () => {
  const script = fileURLToPath(new URL('serve-fake.js', import.meta.url));
  const env = { ...process.env, CONTRACT_FAKE: `'${process.execPath}' '${script}'` };
  const pytest = fileURLToPath(new URL('.venv/bin/pytest', ROOT));
  const folder = fileURLToPath(new URL('sdk-python', ROOT));

  const { code, said } = await run(pytest, ['-q', 'tests/contract'], folder, env);

  assert.equal(0, code, said);
  const passed = Number(/(\d+) passed/.exec(said)?.[1]);
  assert.ok(passed > 500, said);
});
