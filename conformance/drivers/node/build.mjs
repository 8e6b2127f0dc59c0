/** Builds the Node SDK when its sources are newer than what was built; by itself, or imported. */

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SDK = fileURLToPath(new URL('../../../sdk-node/', import.meta.url));
// Beside what was built, and not in it: that is packed.
const STAMP = `${SDK}build/.dist-is-built`;
const LOCK = `${SDK}build/.dist-is-being-built`;
const STALE_LOCK_MS = 60_000; // whoever built for so long has died

/** When the newest of what the build reads was changed. */
function changedAt() {
  const names = readdirSync(`${SDK}src`, { recursive: true });
  const sources = names.filter((name) => name.endsWith('.ts'));
  const read = [
    ...sources.map((name) => `src/${name}`),
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
  ];
  return Math.max(...read.map((name) => statSync(SDK + name).mtimeMs));
}

function isCurrent() {
  return (
    existsSync(`${SDK}dist/index.js`) && existsSync(STAMP) && statSync(STAMP).mtimeMs >= changedAt()
  );
}

/** One build at a time; several drivers may start at once. */
async function lock() {
  mkdirSync(`${SDK}build`, { recursive: true });
  for (;;) {
    try {
      mkdirSync(LOCK);
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      const since = statSync(LOCK, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
      if (Date.now() - since > STALE_LOCK_MS) rmdirSync(LOCK);
    }
    await sleep(20);
  }
}

function build() {
  const began = new Date();
  const tsc = `${SDK}node_modules/typescript/bin/tsc`;
  const run = { cwd: SDK, encoding: 'utf8' };
  const done = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], run);
  const said = `${done.stdout}${done.stderr}`;
  if (done.status !== 0) throw new Error(`the Node SDK does not build:\n${said}`);
  writeFileSync(STAMP, '');
  utimesSync(STAMP, began, began); // what was changed meanwhile is newer
}

if (!isCurrent()) {
  await lock();
  try {
    if (!isCurrent()) build();
  } finally {
    rmdirSync(LOCK);
  }
}
