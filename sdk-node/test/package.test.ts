/** The package as users get it: what it needs, what is in it, and that it can be imported and required. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../src/version.ts';

const SDK = fileURLToPath(new URL('../../', import.meta.url));
const PACKAGE = JSON.parse(readFileSync(join(SDK, 'package.json'), 'utf8'));

let folder = '';
let tarball = '';

function run(command: string, args: string[], cwd: string): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function tool(name: string, ...args: string[]): string {
  return run(process.execPath, [join(SDK, 'node_modules', name), ...args], folder);
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'jobwire-package-'));
  const packed = run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    SDK,
  );
  tarball = join(folder, JSON.parse(packed)[0].filename);
  writeFileSync(join(folder, 'package.json'), '{"name":"user","private":true,"type":"commonjs"}');
  run(
    'npm',
    ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball],
    folder,
  );
});

after(() => rmSync(folder, { recursive: true, force: true }));

test('there are no dependencies, and nothing runs when it is installed', () => {
  for (const key of [
    'dependencies',
    'peerDependencies',
    'optionalDependencies',
    'bundleDependencies',
  ]) {
    assert.equal(undefined, PACKAGE[key], key);
  }
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) {
    assert.equal(undefined, PACKAGE.scripts[hook], hook);
  }
  assert.deepEqual(
    ['jobwire'],
    readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')),
  );
});

test('the sources import Node.js and each other, and nothing else', () => {
  for (const name of readdirSync(join(SDK, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const text = readFileSync(join(SDK, 'src', name), 'utf8');
    for (const [, from = ''] of text.matchAll(/^(?:import|export)\b[^;]*?\bfrom '([^']+)';/gm)) {
      assert.match(from, /^(node:[a-z_/]+|\.\.?\/[\w./-]+\.ts)$/, `${name} imports ${from}`);
    }
  }
});

test('the version is that of package.json, and development tools are pinned', () => {
  assert.equal(PACKAGE.version, VERSION);
  for (const [name, version] of Object.entries(PACKAGE.devDependencies)) {
    assert.match(String(version), /^\d+\.\d+\.\d+$/, name);
  }
  const lock = JSON.parse(readFileSync(join(SDK, 'package-lock.json'), 'utf8'));
  const resolved = Object.values<{ resolved?: string }>(lock.packages).filter(
    (each) => each.resolved,
  );
  assert.deepEqual([], resolved);
});

test('the tarball has what was built, its sources, and no tests', () => {
  const installed = readdirSync(join(folder, 'node_modules', 'jobwire'));
  assert.deepEqual(
    ['dist', 'package.json', 'src'],
    installed.filter((name) => !/readme|license/i.test(name)).sort(),
  );
});

test('every export is there, by import and by require', () => {
  const entries = Object.keys(PACKAGE.exports).filter((name) => !name.endsWith('.json'));
  for (const entry of entries) {
    const name = entry.replace('.', 'jobwire');
    const code = `const names = (all) => Object.keys(all).filter((one) => one !== 'module.exports').sort().join();
      const required = names(require(${JSON.stringify(name)}));
      import(${JSON.stringify(name)}).then((all) => console.log(required === names(all), required));`;
    const said = run(process.execPath, ['-e', code], folder);
    assert.match(said, /^true \w/, name);
  }
  assert.throws(() =>
    run(process.execPath, ['-e', "require('jobwire/dist/client-core.js')"], folder),
  );
});

test('users of the types find them, also under exactOptionalPropertyTypes', () => {
  const types = join(SDK, 'node_modules', '@types');
  const options = {
    module: 'nodenext',
    target: 'es2022',
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    typeRoots: [types],
    types: ['node'],
    lib: ['es2023', 'esnext.disposable'],
  };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['a.mts', 'b.cts'] }),
  );
  const body = `await using client = new Client({ url: 'tcp://127.0.0.1:1' });
    const jobs = await client.pull<{ to: string }>('q', { waitMs: 5 });
    const to: string | undefined = jobs[0]?.data.to; void to;`;
  writeFileSync(join(folder, 'a.mts'), `import { Client } from 'jobwire';\n${body}\nexport {};`);
  writeFileSync(
    join(folder, 'b.cts'),
    `import { Client } from 'jobwire';\nasync function main() {${body}}\nvoid main;`,
  );
  try {
    tool('typescript/bin/tsc', '-p', folder);
  } catch (error) {
    assert.fail(String((error as { stdout?: string }).stdout));
  }
});

test('publint and are-the-types-wrong have nothing to say', () => {
  const linted = tool('publint/src/cli.js', tarball, '--strict');
  assert.match(linted, /All good!/);
  // CommonJS gets the ES module by require(), which every supported Node.js can; that it cannot be checked is the profile.
  const wrong = '@arethetypeswrong/cli/dist/index.js';
  // Its own choice of format depends on the width of the terminal.
  const checked = tool(wrong, tarball, '--profile', 'esm-only', '--format', 'ascii');
  assert.match(checked, /from ESM\): 🟢/u);
  assert.doesNotMatch(checked, /(?:from ESM\)|bundler): (?!🟢)/u);
});
