/** Checks the fields of a request to the fake server: each by itself, and the rules between them. Pure. */

import { asMembers, list, type Members, record, required, uuid } from './fake-checks.ts';
import { BATCH, checkPush, FIELDS, type Fields, pushItem } from './fake-fields.ts';
import { invalid, Refused } from './fake-job.ts';

/** A job of a batch that is refused for its fields, with the id that it named. */
export class BadItem {
  readonly id: string | null;
  readonly refusal: Refused;

  constructor(id: string | null, refusal: Refused) {
    this.id = id;
    this.refusal = refusal;
  }
}

/**
 * The fields to use: null ones left out, times as milliseconds, ids in their one spelling.
 *
 * Throws VALIDATION_ERROR with the pointer of the first bad one.
 */
export function check(operation: string, fields: unknown): Members {
  if (operation === 'push') return checkPush(fields);
  if (operation === 'push_batch' && asMembers(fields, '').atomic === false) {
    return checkEach(fields);
  }
  const checked = record(fieldsOf(operation))(fields, '');
  RULES[operation]?.(checked, asMembers(fields, ''));
  return checked;
}

function fieldsOf(operation: string): Fields {
  const found = FIELDS[operation];
  if (found === undefined) throw new RangeError(`there is no operation ${operation}`);
  return found;
}

/** A batch that is not atomic: a bad job is its own affair, the rest of the request is not (JW-PUSH-7, JW-PUSH-18). */
function checkEach(fields: unknown): Members {
  const jobs = list((value) => value, BATCH);
  const checked = record({ ...fieldsOf('push_batch'), jobs: required(jobs) })(fields, '');
  return { ...checked, jobs: jobs(checked.jobs, '/jobs').map(itemOrRefusal) };
}

function itemOrRefusal(value: unknown, index: number): Members | BadItem {
  try {
    return pushItem(value, `/jobs/${index}`);
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== 'VALIDATION_ERROR') throw error;
    return new BadItem(idIn(value), error);
  }
}

function idIn(value: unknown): string | null {
  try {
    return uuid(asMembers(value, '').id, '');
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return null;
  }
}

/** What must hold between the fields of an operation; *given* is how they came. */
type Rule = (fields: Members, given: Members) => void;

const RULES: Readonly<Record<string, Rule>> = {
  pull: (fields) => {
    if ('queue' in fields === 'queues' in fields) {
      throw invalid('/queue', 'give queue or queues, and not both', {}, 422);
    }
    const weights = fields.weights as number[] | undefined;
    const queues = fields.queues as string[] | undefined;
    if (weights !== undefined && weights.length !== (queues ?? []).length) {
      throw invalid('/weights', "weights needs one weight for each entry of 'queues'");
    }
    if (queues?.length === 0) throw invalid('/queues', 'queues must not be empty', { limit: 1 });
    fields.queues = queues ?? [fields.queue];
  },
  ack_batch: (fields) => {
    if ('items' in fields || 'ids' in fields) return;
    throw invalid('/items', "missing field 'items' or 'ids'", {}, 422);
  },
  heartbeat_batch: (fields) => {
    if (fields.wait_ms && !('worker' in fields)) {
      throw invalid('/wait_ms', 'wait_ms needs worker');
    }
  },
  queue_update: (fields, given) => {
    // Here null is a value: back to the server's default (JW-QUEUE-7).
    for (const [name, value] of Object.entries(given)) if (value === null) fields[name] = null;
  },
};
