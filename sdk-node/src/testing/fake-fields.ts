/** The fields that each operation of the fake server accepts, as spec/wire.yaml lists them; a test compares the two. */

import { LIMITS } from '../limits.ts';
import {
  asMembers,
  type Field,
  field,
  flag,
  integer,
  JSON_DEPTH,
  list,
  METADATA_BYTES,
  type Members,
  metadata,
  moment,
  number,
  parentIds,
  payload,
  record,
  required,
  text,
  uuid,
} from './fake-checks.ts';
import { invalid } from './fake-job.ts';

export type Fields = Readonly<Record<string, Field>>;

const DURATION_MS = LIMITS.duration_ms;
const KEY_BYTES = 1024;
const DATA_BYTES = 1_048_576;

export const BATCH = LIMITS.batch_items;

/** What is checked here and in the queue beside the limits that the client knows; hello and capabilities announce both. */
export const SERVER_LIMITS = {
  data_bytes: DATA_BYTES,
  result_bytes: DATA_BYTES,
  metadata_bytes: METADATA_BYTES,
  json_depth: JSON_DEPTH,
  name_bytes: 1024,
  queue_bytes: 256,
  key_bytes: KEY_BYTES,
  tags: 32,
  tag_bytes: 256,
  depends_on: 256,
  dag_depth: 100,
  logs: 100,
  errors: 20,
  backoff_schedule: 64,
  max_attempts: 10_000,
  token_bytes: KEY_BYTES,
  unauthenticated_line_bytes: 65_536,
} as const;

const duration = field(integer(0, DURATION_MS));
const queue = required(text(256, { named: true }));
const anyQueue = required(text(256));
const id = required(uuid);
const key = field(text(KEY_BYTES));
const leaseMs = field(integer(LIMITS.lease_ms_min, LIMITS.lease_ms_max));
const isSet = field(flag);

const JOB_OPTIONS: Fields = {
  priority: field(integer(-(2 ** 31), 2 ** 31 - 1)),
  delay_ms: duration,
  run_at: field(moment),
  max_attempts: field(integer(0, 10_000)),
  backoff: field(text(KEY_BYTES, { oneOf: ['fixed', 'linear', 'exponential'] })),
  backoff_delay_ms: duration,
  backoff_schedule_ms: field(list(integer(0, DURATION_MS), 64)),
  backoff_max_ms: duration,
  jitter: field(number(0, 1)),
  ttl_ms: duration,
  timeout_ms: field(integer(1, DURATION_MS)),
  unique_key: key,
  unique_for_ms: field(integer(1, DURATION_MS)),
  on_conflict: field(text(KEY_BYTES, { oneOf: ['reject', 'ignore', 'replace'] })),
  tags: field(list(text(256), 32)),
  group_id: key,
  lifo: isSet,
  remove_on_complete: isSet,
  remove_on_fail: isSet,
  custom_id: key,
  metadata: field(metadata),
  depends_on: field(parentIds),
  flow_id: key,
};

const PUSH_ITEM: Fields = {
  id: field(uuid),
  name: required(text(1024, { named: true })),
  data: field(payload(DATA_BYTES)),
  options: field(record(JOB_OPTIONS)),
  ...JOB_OPTIONS,
};

/** A PushItem with its options flat, and the rules between its fields. */
export function pushItem(value: unknown, pointer: string): Members {
  const { options, ...item } = record(PUSH_ITEM)(value, pointer);
  const flat = { ...item };
  for (const [name, each] of Object.entries(options ?? {})) {
    if (Object.hasOwn(item, name)) {
      throw invalid(`${pointer}/options/${name}`, `'${name}' is given twice`);
    }
    flat[name] = each;
  }
  if ('delay_ms' in flat && 'run_at' in flat) {
    throw invalid(`${pointer}/run_at`, 'run_at and delay_ms exclude each other');
  }
  for (const name of ['unique_for_ms', 'on_conflict']) {
    if (name in flat && !('unique_key' in flat)) {
      throw invalid(`${pointer}/${name}`, `${name} needs unique_key`);
    }
  }
  return flat;
}

/** The fields of a push: `queue` beside those of its job. */
export function checkPush(fields: unknown): Members {
  const { queue: name, ...job } = asMembers(fields, '');
  const checked = record({ queue })(name === undefined ? {} : { queue: name }, '');
  return { ...pushItem(job, ''), ...checked };
}

const ACK_ITEM: Fields = { id, lease: key, result: field(payload(DATA_BYTES)) };
const FAIL_ITEM: Fields = {
  id,
  lease: key,
  error: field(text(LIMITS.error_bytes)),
  retry_in_ms: duration,
  discard: isSet,
};
const HEARTBEAT_ITEM: Fields = { id, lease: key, lease_ms: leaseMs };
const WORKER_REPORT: Fields = {
  id: required(text(KEY_BYTES)),
  queues: field(list(text(256), LIMITS.queues_per_pull)),
  concurrency: field(integer(1, 100_000)),
  free: field(integer(0, 100_000)),
  state: field(text(KEY_BYTES, { oneOf: ['running', 'quiet'] })),
  last_pull_ms: duration,
};
const DLQ_CHOICE: Fields = {
  queue: anyQueue,
  ids: field(list(uuid, BATCH)),
  limit: field(integer(1, BATCH)),
};
const STATES = ['waiting', 'delayed', 'blocked', 'active', 'completed', 'dlq', 'cancelled'];
const waitMs = field(integer(0, LIMITS.wait_ms));

export const FIELDS: Readonly<Record<string, Fields>> = {
  push: { queue, ...PUSH_ITEM },
  push_batch: { queue, jobs: required(list(pushItem, BATCH)), atomic: isSet },
  pull: {
    queue: field(text(256)),
    queues: field(list(text(256), LIMITS.queues_per_pull)),
    weights: field(list(integer(1, 1_000_000), LIMITS.queues_per_pull)),
    count: field(integer(0, LIMITS.pull_count)),
    wait_ms: waitMs,
    lease_ms: leaseMs,
    names: field(list(text(1024), LIMITS.names_per_pull)),
    worker_id: key,
    request_id: key,
  },
  ack: ACK_ITEM,
  ack_batch: { items: field(list(record(ACK_ITEM), BATCH)), ids: field(list(uuid, BATCH)) },
  fail: FAIL_ITEM,
  fail_batch: { items: required(list(record(FAIL_ITEM), BATCH)) },
  release: { id, lease: key, delay_ms: duration },
  heartbeat: HEARTBEAT_ITEM,
  heartbeat_batch: {
    items: field(list(record(HEARTBEAT_ITEM), BATCH)),
    worker: field(record(WORKER_REPORT)),
    wait_ms: waitMs,
  },
  progress: {
    id,
    lease: key,
    progress: required(integer(0, 255)),
    message: field(text(LIMITS.message_bytes)),
  },
  cancel: { id },
  retry: { id },
  promote: { id },
  get: { id },
  delete: { id },
  find: {
    queue: field(text(256)),
    state: field(list(text(KEY_BYTES, { oneOf: STATES }), 7)),
    name: field(text(1024)),
    tag: field(text(256)),
    group_id: key,
    flow_id: key,
    custom_id: key,
    created_after: field(moment),
    created_before: field(moment),
    limit: field(integer(1, LIMITS.find_limit)),
    cursor: key,
  },
  queues: {},
  queue: { queue: anyQueue },
  queue_update: {
    queue,
    lease_ms: leaseMs,
    max_length: field(integer(1, 1_000_000_000)),
    retention_completed_ms: duration,
    retention_dlq_ms: duration,
    retention_cancelled_ms: duration,
  },
  stats: { queue: anyQueue },
  queue_pause: { queue, mode: field(text(KEY_BYTES, { oneOf: ['push', 'pull', 'both'] })) },
  queue_resume: { queue },
  dlq: { queue: anyQueue, limit: field(integer(0, 1000)), cursor: key },
  dlq_retry: DLQ_CHOICE,
  dlq_discard: DLQ_CHOICE,
  flow: { flow_id: required(text(KEY_BYTES)) },
  workers: {},
  health: {},
  ready: {},
  live: {},
  capabilities: {},
  hello: {
    v: required(list(integer(0, 2 ** 31), 16)),
    client: field(record({ name: key, version: key })),
    token: key,
    worker: field(record(WORKER_REPORT)),
  },
  auth: { token: required(text(KEY_BYTES)) },
  ping: {},
  abort: { target: required(integer(0, LIMITS.rid_max)) },
  bye: {},
};
