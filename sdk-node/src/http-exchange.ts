/**
 * A Request as HTTP headers, and an HTTP response as a Reply; nothing here knows sockets.
 *
 * Redirects are refused: following one would carry the token, or repeat the work, where nobody asked for it.
 */

import type { Endpoint } from './endpoint.ts';
import { errorFor, type JobwireError, ProtocolError } from './errors.ts';
import type { Reply } from './request.ts';
import { decode } from './strict-json.ts';
import { VERSION } from './version.ts';

/** Where the operations live, below the path of the URL. */
export const API = '/api/v1';
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]); // 4xx of a proxy that may go away by themselves
const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A whole response. Names of `headers` are lower-case. */
export interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

export function headersOf(endpoint: Endpoint, body: Uint8Array | null): Record<string, string> {
  const headers: Record<string, string> = {
    Host: endpoint.authority,
    'User-Agent': `${endpoint.clientName}/${VERSION}`,
    Accept: 'application/json',
    'Accept-Encoding': 'identity',
  };
  if (body !== null) {
    headers['Content-Type'] = 'application/json';
    headers['Content-Length'] = String(body.length);
  }
  if (endpoint.token !== null) headers.Authorization = `Bearer ${endpoint.token}`;
  return headers;
}

/**
 * The Reply in *response*.
 *
 * Throws ProtocolError for a redirect or a success without a Jobwire body, and UnavailableError HTTP_ERROR for an error
 * without one.
 */
export function replyOf(response: Response, options: { readonly bigints: boolean }): Reply {
  const { status, headers } = response;
  const answer = jsonObject(response.body, options);
  const requestId = single(headers['x-request-id']);
  const retryAfterMs = retryAfter(single(headers['retry-after']));
  if (answer !== null && agrees(answer.body, status)) {
    return { ...answer, status, requestId, retryAfterMs };
  }
  if (status >= 400) throw httpError(status, requestId, retryAfterMs);
  const message =
    status >= 300
      ? `the peer redirects (HTTP ${status}), which is not followed; use its final URL`
      : `HTTP ${status} without a Jobwire answer; is this a Jobwire server?`;
  throw new ProtocolError('PROTOCOL_ERROR', message, { requestId, status });
}

function jsonObject(
  bytes: Uint8Array,
  options: { readonly bigints: boolean },
): Pick<Reply, 'body' | 'text'> | null {
  try {
    const text = STRICT.decode(bytes);
    const body = decode(text, options);
    if (typeof body !== 'object' || body === null || Array.isArray(body)) return null;
    return { body: body as Reply['body'], text };
  } catch {
    return null; // no JSON: whose answer this is, the status tells
  }
}

/** Whether body and status tell the same story; ok false with 200 is a batch of which a part failed. */
function agrees({ ok }: Reply['body'], status: number): boolean {
  if (typeof ok !== 'boolean') return false;
  return ok ? status >= 200 && status < 300 : status < 300 || status >= 400;
}

function httpError(
  status: number,
  requestId: string | null,
  retryAfterMs: number | null,
): JobwireError {
  return errorFor('HTTP_ERROR', `HTTP ${status} without a Jobwire error in its body`, {
    requestId,
    retryable: status >= 500 || PASSING.has(status),
    retryAfterMs,
    status,
  });
}

/** Whole seconds; the date form is not used by Jobwire servers and counts as absent. */
function retryAfter(text: string | null): number | null {
  return text !== null && /^[0-9]{1,9}$/.test(text) ? Number(text) * 1000 : null;
}

function single(value: string | string[] | undefined): string | null {
  return typeof value === 'string' ? value : null;
}
