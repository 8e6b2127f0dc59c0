/** The routes of the HTTP door of the fake server, as spec/wire.yaml lists them; a test compares the two. */

import { type Answer, invalid, Refused } from './fake-job.ts';

const PREFIX = '/api/v1';

export const ROUTES: Readonly<Record<string, string>> = {
  'POST /queues/{queue}/jobs': 'push',
  'POST /queues/{queue}/jobs/batch': 'push_batch',
  'POST /pull': 'pull',
  'POST /queues/{queue}/pull': 'pull',
  'GET /queues/{queue}/jobs': 'pull',
  'POST /jobs/{id}/ack': 'ack',
  'POST /jobs/ack': 'ack_batch',
  'POST /jobs/{id}/fail': 'fail',
  'POST /jobs/fail': 'fail_batch',
  'POST /jobs/{id}/release': 'release',
  'POST /jobs/{id}/heartbeat': 'heartbeat',
  'POST /jobs/heartbeat': 'heartbeat_batch',
  'POST /jobs/{id}/progress': 'progress',
  'POST /jobs/{id}/cancel': 'cancel',
  'POST /jobs/{id}/retry': 'retry',
  'POST /jobs/{id}/promote': 'promote',
  'GET /jobs/{id}': 'get',
  'DELETE /jobs/{id}': 'delete',
  'GET /jobs': 'find',
  'GET /queues': 'queues',
  'GET /queues/{queue}': 'queue',
  'PATCH /queues/{queue}': 'queue_update',
  'GET /queues/{queue}/stats': 'stats',
  'POST /queues/{queue}/pause': 'queue_pause',
  'POST /queues/{queue}/resume': 'queue_resume',
  'GET /queues/{queue}/dlq': 'dlq',
  'POST /queues/{queue}/dlq/retry': 'dlq_retry',
  'POST /queues/{queue}/dlq/discard': 'dlq_discard',
  'GET /flows/{flow_id}': 'flow',
  'GET /workers': 'workers',
  'GET /health': 'health',
  'GET /health/ready': 'ready',
  'GET /health/live': 'live',
  'GET /capabilities': 'capabilities',
};

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
  readonly operation: string;
}

/** The table as patterns, fixed paths before those with fields, so that /jobs/ack is no job's id. */
const COMPILED: readonly Route[] = Object.entries(ROUTES)
  .map(([line, operation]) => {
    const [method = '', path = ''] = line.split(' ');
    const source = path.replace(/{(\w+)}/g, '(?<$1>[^/]+)');
    return { method, pattern: new RegExp(`^${PREFIX}${source}$`), operation };
  })
  .sort(
    (one, other) =>
      Number(one.pattern.source.includes('?<')) - Number(other.pattern.source.includes('?<')),
  );

export interface Routed {
  readonly operation: string;
  /** What the path says. */
  readonly fields: Answer;
}

/** The operation of *method* on *path*; throws ROUTE_NOT_FOUND or METHOD_NOT_ALLOWED. */
export function routed(method: string, path: string): Routed {
  const found = COMPILED.filter(({ pattern }) => pattern.test(path));
  if (found.length === 0) {
    throw new Refused('ROUTE_NOT_FOUND', `No operation has the path ${path}`, { path });
  }
  const route = found.find((one) => one.method === method);
  if (route === undefined) {
    const allow = [...new Set(found.map((one) => one.method))].sort().join(', ');
    throw new Refused('METHOD_NOT_ALLOWED', `Use ${allow}`, { allow });
  }
  const fields = Object.entries(route.pattern.exec(path)?.groups ?? {});
  const decoded = fields.map(([name, text]) => [name, unquoted(name, text)]);
  return { operation: route.operation, fields: Object.fromEntries(decoded) };
}

function unquoted(name: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`/${name}`, `${name} is no percent-encoded UTF-8`);
  }
}

/** The fields of a query: `count` and `limit` are numbers, `state` is a list. */
export function queryFields(query: URLSearchParams): Answer {
  const fields: Answer = {};
  for (const [name, value] of query) {
    if (name === 'count' || name === 'limit') {
      if (!/^\d+$/.test(value)) throw invalid(`/${name}`, `${name} must be a whole number`);
      fields[name] = Number(value);
    } else {
      fields[name] = name === 'state' ? value.split(',') : value;
    }
  }
  return fields;
}
