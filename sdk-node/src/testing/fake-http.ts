/** The HTTP door of the fake server: bodies, statuses and envelopes. It knows nothing of jobs. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { LIMITS } from '../limits.ts';
import { errorView, statusOf } from './fake-answers.ts';
import { type Answer, invalid, Refused } from './fake-job.ts';
import { dumps, parseStrict } from './fake-json.ts';
import { queryFields, type Routed, routed } from './fake-routes.ts';
import { Dropped, type FakeService, Swallowed, Waiter } from './fake-service.ts';

const WITHOUT_TOKEN: ReadonlySet<string> = new Set(['health', 'ready', 'live', 'capabilities']);
const BODY_BYTES = LIMITS.line_bytes;

/** What is to be called with each connection of the door. */
export function httpDoor(service: FakeService): (socket: Socket) => void {
  // Never listens itself: connections stay while the door refuses new ones, and for as long as a client keeps them.
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 });
  server.on('request', (request, response) => void serve(service, request, response));
  return (socket) => void server.emit('connection', socket);
}

async function serve(
  service: FakeService,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const { status, answer } = await run(service, request, response);
    send(response, status, { ok: true, ...answer });
  } catch (error) {
    if (error instanceof Swallowed) return; // the fault is that no answer comes
    if (error instanceof Refused) refuse(response, error);
    else if (error instanceof Dropped || request.destroyed) request.socket.destroy();
    else throw error;
  }
}

async function run(
  service: FakeService,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<{ status: number; answer: Answer }> {
  const content = await bodyOf(request); // first, so that the next request starts where this one ends
  const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s);
  const route = routeOf(service, request, path);
  const { operation, fields } = fieldsOf(parsed(request, content), query, route);
  const waiter = new Waiter();
  response.on('close', () => waiter.end());
  const client = request.headers['user-agent'] ?? null;
  const caller = { door: 'http', version: 2, session: null, client } as const;
  const answer = await service.handle(operation, fields, caller, waiter);
  // Over HTTP an instant that is not there is left out of fail's answer.
  if (operation === 'fail') answer.next_attempt_at ??= undefined;
  return { status: statusFor(operation, answer), answer };
}

/** The token is looked at before anything else, also where there is no route. */
function routeOf(service: FakeService, request: IncomingMessage, path: string): Routed {
  try {
    const route = routed(request.method ?? '', path);
    checkToken(service, request, route.operation);
    return route;
  } catch (error) {
    checkToken(service, request, '');
    throw error;
  }
}

function fieldsOf(
  body: unknown,
  query: string,
  route: Routed,
): { operation: string; fields: Answer } {
  const isBatch = route.operation === 'push' && Array.isArray(body);
  const operation = isBatch ? 'push_batch' : route.operation;
  const members = isBatch ? { jobs: body } : body;
  if (typeof members !== 'object' || members === null || Array.isArray(members)) {
    throw invalid('', 'the body must be an object', {}, 422);
  }
  const fields: Answer = {
    ...members,
    ...queryFields(new URLSearchParams(query)),
    ...route.fields,
  };
  if (operation === 'fail' && (fields.error ?? null) === null) {
    throw invalid('/error', "missing field 'error'", {}, 422);
  }
  return { operation, fields };
}

function checkToken(service: FakeService, request: IncomingMessage, operation: string): void {
  if (service.token === null || WITHOUT_TOKEN.has(operation)) return;
  if (request.headers.authorization !== `Bearer ${service.token}`) {
    throw new Refused('UNAUTHORIZED', 'Invalid bearer token');
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length <= BODY_BYTES) chunks.push(chunk); // the rest is read, so that the client reads the answer
  }
  if (length > BODY_BYTES) {
    throw new Refused('PAYLOAD_TOO_LARGE', 'the body is over its limit', { limit: BODY_BYTES });
  }
  return Buffer.concat(chunks);
}

function parsed(request: IncomingMessage, content: Buffer): unknown {
  if (content.length === 0) return {};
  const [type = ''] = (request.headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/json') {
    throw new Refused('UNSUPPORTED_MEDIA_TYPE', 'Send Content-Type: application/json.');
  }
  return /[^ \t\r\n]/.test(content.toString('latin1')) ? parseStrict(content) : {};
}

function refuse(response: ServerResponse, refusal: Refused): void {
  if (refusal.retryAfterMs !== null) {
    response.setHeader('Retry-After', Math.ceil(refusal.retryAfterMs / 1000));
  }
  if (refusal.code === 'METHOD_NOT_ALLOWED')
    response.setHeader('Allow', `${refusal.details?.allow}`);
  send(response, statusOf(refusal), { ok: false, error: errorView(refusal) });
}

function send(response: ServerResponse, status: number, answer: Answer): void {
  const content = dumps(answer);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(content),
  });
  response.end(content);
}

function statusFor(operation: string, answer: Answer): number {
  const outcomes = operation === 'push' ? [answer.outcome] : answer.outcomes;
  const isNew = (outcome: unknown): boolean => outcome === 'created' || outcome === 'replaced';
  return Array.isArray(outcomes) && outcomes.some(isNew) ? 201 : 200;
}
