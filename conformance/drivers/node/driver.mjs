/**
 * Lets the conformance runner drive the Node SDK: JSON lines on stdin and stdout, as schema/driver-1.schema.json has them.
 *
 * Rule 1: it calls the public API only, and `_runtime`, the SDK's one seam for time and chance.
 * Rule 2: it never judges. What the SDK did is told as it is; the runner compares it with what crossed the wire.
 */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { inspect, promisify } from 'node:util';
import { uuid7 } from '../../../sdk-node/dist/ids.js';
import { Client, VERSION, Worker } from '../../../sdk-node/dist/index.js';
import { camel, canonical, ENDINGS, failure, load, options, snake } from './values.mjs';

// Arguments by place; all others are members of the one object that comes last.
const PLACES = {
  push: ['queue', 'name', 'data'],
  push_batch: ['queue', 'jobs'],
  pull: ['queues'],
  ack_batch: ['items'],
  fail: ['job', 'error'],
  fail_batch: ['items'],
  heartbeat_batch: ['items'],
  progress: ['job', 'percent'],
  find: [],
  find_page: [],
  update_queue: ['queue'],
  get_flow: ['flow_id'],
};
const LISTS = new Set(['items', 'jobs']);
const objects = new Map();
const calls = new Map(); // id of a message → what ends the call
const sleeps = new Map(); // id of a sleep → what ends it
const scripts = new Map(); // token of a handler → what to do next
const state = { virtual: false, random: Math.random, slept: 0, names: 0, sockets: 0, threads: 0 };

function say(kind, members) {
  process.stdout.write(`${JSON.stringify({ t: kind, ...members })}\n`);
}

/** Run *call*, and tell its result when it is there. *controller* ends it. */
async function answer(id, call, controller = null) {
  calls.set(id, controller);
  let told;
  try {
    told = { ok: true, value: canonical(await call()) };
  } catch (error) {
    told = { ok: false, error: failure(error) };
  }
  calls.delete(id);
  say('result', { id, ...told });
}

function methodsOf(prototype) {
  if (prototype === Object.prototype) return [];
  const own = Object.getOwnPropertyNames(prototype).filter((name) => !(name in Object.prototype));
  return [...own, ...methodsOf(Object.getPrototypeOf(prototype))];
}

async function everythingOf(value) {
  if (typeof value?.[Symbol.asyncIterator] !== 'function') return value;
  const found = [];
  for await (const each of value) found.push(each);
  return found;
}

// --- messages ---------------------------------------------------------------------------------------------------------

const MESSAGES = {
  async init({ virtual, seed, proto }) {
    await Promise.all(Array.from({ length: 16 }, () => promisify(randomBytes)(1024 * 1024)));
    const open = { sockets: sockets(), threads: threads() };
    Object.assign(state, { virtual, random: mulberry32(seed), ...open });
    const sdk = { name: 'node', version: VERSION, lang: 'node', runtime: process.version };
    const methods = methodsOf(Client.prototype);
    say('ready', { proto, sdk, caps: ['cancel', 'bigint'], methods: methods.map(snake) });
  },
  new({ id, obj, kind, args }) {
    const make = kind === 'client' ? newClient : newWorker;
    void answer(id, () => void objects.set(obj, make(obj, args)));
  },
  call({ id, obj, method, args, opts }) {
    const controller = new AbortController();
    const call = () => everythingOf(perform(objects.get(obj), method, args, opts, controller));
    void answer(id, call, controller);
  },
  cancel({ id }) {
    calls.get(id)?.abort(); // else its result is on the way already
  },
  'job.resolve'({ token, as, value }) {
    scripts.get(token)?.push({ as, value });
  },
  wake({ id }) {
    sleeps.get(id)?.(); // else the call that slept was cancelled
  },
  close({ id, obj }) {
    const closed = objects.get(obj);
    objects.delete(obj);
    void answer(id, () => closed.close?.());
  },
  stats({ id }) {
    const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const value = {
      sockets: sockets() - state.sockets,
      threads: Math.max(threads() - state.threads, 0),
      tasks: 0, // what is not awaited cannot be counted here; it shows as a call, a timer or a socket
      timers,
      calls: calls.size + scripts.size + sleeps.size,
    };
    say('result', { id, ok: true, value });
  },
};

function newClient(_obj, args) {
  const { virtual, random } = state;
  const seam = { now: Date.now, monotonic: () => state.slept, sleep, random, newId: uuid7 };
  const given = { ...options(args), bigints: true };
  return new Client(virtual ? { ...given, _runtime: seam } : given);
}

function newWorker(obj, { client, handlers, ...args }) {
  const worker = new Worker(objects.get(client), options(args));
  for (const name of handlers) worker.handle(name, (job, ctx) => handle(obj, job, ctx));
  return worker;
}

function perform(target, method, args, opts, { signal }) {
  if (method === 'repr') return inspect(target);
  const view = opts ? target.withOptions(options(opts)) : target;
  const places = PLACES[method] ?? ['job', 'queue'].filter((name) => name in args);
  const placed = places.map((name) => (LISTS.has(name) ? args[name].map(item) : load(args[name])));
  const rest = Object.entries(args).filter(([name]) => !places.includes(name));
  return view[camel(method)](...placed, { ...options(Object.fromEntries(rest)), signal });
}

/** An item of a batch: what says a job and nothing else is the job itself. */
function item(args) {
  const loaded = options(args);
  return Object.keys(loaded).join() === 'job' ? loaded.job : loaded;
}

// --- time and chance --------------------------------------------------------------------------------------------------

/** Until the runner says wake; the clock of the SDK has then moved on. */
async function sleep(ms, signal) {
  state.names += 1;
  const id = state.names;
  say('sleep', { id, ms });
  try {
    await new Promise((resolve, reject) => {
      sleeps.set(id, resolve);
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  } finally {
    sleeps.delete(id);
  }
  state.slept += ms;
}

/** A small generator of numbers that one seed determines (Tommy Ettinger's mulberry32). */
function mulberry32(seed) {
  let at = seed >>> 0;
  return () => {
    at = (at + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(at ^ (at >>> 15), at | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// --- handlers ---------------------------------------------------------------------------------------------------------

/** A handler: it does as job.resolve says, step by step, until one ends it. */
async function handle(obj, job, ctx) {
  state.names += 1;
  const token = `${obj}.${state.names}`;
  const script = new Script();
  scripts.set(token, script);
  say('job', { worker: obj, token, job: canonical(job) });
  try {
    for (;;) {
      const { as, value } = await script.next();
      if (as === 'ok') return load(value ?? null);
      await step(ctx, as, value);
      say('event', { obj, event: 'done', token, reason: ctx.reason });
    }
  } finally {
    scripts.delete(token);
  }
}

async function step(ctx, as, value) {
  if (as in ENDINGS) throw ENDINGS[as](value);
  if (as === 'burn') {
    for (const end = performance.now() + value; performance.now() < end; );
  } else if (as === 'hang') {
    if (!ctx.signal.aborted) await once(ctx.signal, 'abort');
  } else {
    await ctx[as](...(value ?? []));
  }
}

/** Steps that are said, and steps that are waited for. */
class Script {
  #said = [];
  #wanted = null;

  push(how) {
    this.#said.push(how);
    this.#wanted?.();
  }

  async next() {
    while (this.#said.length === 0) {
      await new Promise((resolve) => {
        this.#wanted = resolve;
      });
    }
    return this.#said.shift();
  }
}

// --- what is open -----------------------------------------------------------------------------------------------------

function sockets() {
  const links = readdirSync('/proc/self/fd').map((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      return ''; // the one that listed the others
    }
  });
  return links.filter((link) => link.startsWith('socket:')).length;
}

function threads() {
  return readdirSync('/proc/self/task').length;
}

// Ahead of a worker's own listener, which would drain: a driver ends at once.
process.on('SIGTERM', () => process.exit(143));
const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
for await (const line of lines) {
  const { t, ...message } = JSON.parse(line);
  await MESSAGES[t](message);
}
process.exit(0);
