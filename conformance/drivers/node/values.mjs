/**
 * Values between the messages of the runner and the Node SDK: names, instants, and numbers that JSON.parse loses.
 *
 * Messages speak the words of the wire: names with underscores, instants RFC 3339, a held job {"$job": {id, lease}}.
 */

import { inspect } from 'node:util';
import { Discard, isJobwireError, Release, RetryIn } from '../../../sdk-node/dist/index.js';

const JSON_MEMBERS = new Set(['data', 'result', 'metadata']); // what users give; kept as it is

const LOAD = {
  $int: (digits) => (Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits)),
  $float: Number,
  $lit: (members) => mapped(members, load),
  $job: (held) => held,
  $time: (text) => new Date(text),
  $worker: (report) => options(report),
};

/** What a handler throws. */
export const ENDINGS = {
  fail: (why) => new Error(why),
  discard: (why) => new Discard(why),
  retry_in: (ms) => new RetryIn({ ms, reason: 'in a while' }),
  release: (delayMs) => new Release({ delayMs }),
};

function mapped(object, each) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, each(value)]));
}

/** A value of a message: objects with a $ stand where the JSON of some languages is too weak. */
export function load(value) {
  if (Array.isArray(value)) return value.map(load);
  if (typeof value !== 'object' || value === null) return value;
  const [special = ''] = Object.keys(value);
  return (Object.hasOwn(LOAD, special) ? LOAD[special] : LOAD.$lit)(
    Object.hasOwn(LOAD, special) ? value[special] : value,
  );
}

/** The inverse of load. */
function dump(value) {
  if (Array.isArray(value)) return value.map(dump);
  if (typeof value === 'bigint') return { $int: String(value) };
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) ? value : { $float: String(value) }; // -0 and 1.0 are integers here
  }
  if (typeof value !== 'object' || value === null) return value;
  const members = mapped(value, dump);
  return Object.keys(members)[0]?.startsWith('$') ? { $lit: members } : members;
}

export function camel(name) {
  return name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}

export function snake(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The members of a message as options of the SDK. */
export function options(args) {
  const loaded = Object.entries(args).map(([name, value]) => [camel(name), load(value)]);
  return Object.fromEntries(loaded);
}

/** What the SDK gave, in the words of the wire. */
export function canonical(value) {
  if (isJobwireError(value)) return { error: failure(value) };
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value ?? null;
  const members = Object.entries(value).map(([name, each]) => [
    snake(name),
    JSON_MEMBERS.has(name) ? dump(each) : canonical(each),
  ]);
  const raw = 'rawData' in value ? [['raw', { data: value.rawData, result: value.rawResult }]] : [];
  return Object.fromEntries([...members, ...raw]);
}

export function failure(error) {
  const known = isJobwireError(error) ? error : null;
  return {
    class: error?.name ?? typeof error,
    code: known?.code ?? null,
    message: String(error?.message ?? error),
    retryable: known?.retryable ?? null,
    http_status: known?.status ?? null,
    details: { ...known?.details },
    retry_after_ms: known?.retryAfterMs ?? null,
    shown: `${error} ${inspect(error)} ${error?.stack}`,
  };
}
