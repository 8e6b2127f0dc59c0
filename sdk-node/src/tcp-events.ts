/** What a Session tells, the line that it writes, and its words for a peer that talks nonsense. */

import { fromResponse, type JobwireError, ProtocolError, TransportError } from './errors.ts';
import type { Wire } from './reading.ts';

export type Event =
  /** The handshake is over; requests may be sent. */
  | { readonly type: 'ready' }
  /** The answer to request *rid*. */
  | { readonly type: 'answered'; readonly rid: number; readonly body: Wire; readonly text: string }
  /** The server said goodbye before it read request *rid*. */
  | { readonly type: 'unprocessed'; readonly rid: number }
  /** An answer whose caller has left; jobs in it are held by nobody. */
  | { readonly type: 'late'; readonly body: Wire }
  /** A line that the server sent by itself. */
  | { readonly type: 'noticed'; readonly name: string; readonly fields: Wire }
  /** The connection is of no use any more; what is in flight has failed. */
  | { readonly type: 'broken'; readonly error: JobwireError };

/** A line from an object that is encoded already. */
export function line(cmd: string, payload: string, rid: number | null): string {
  const head = `{"cmd":"${cmd}"${rid === null ? '' : `,"rid":${rid}`}`;
  return payload === '{}' ? `${head}}\n` : `${head},${payload.slice(1)}\n`;
}

export function isWire(value: unknown): value is Wire {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function garbage(message: string): ProtocolError {
  return new ProtocolError('PROTOCOL_ERROR', message);
}

/** An error that speaks of the connection, such as REQUEST_TIMEOUT before it is closed, or plain nonsense. */
export function uncorrelated(body: Wire): JobwireError {
  if (body.ok === false && !('rid' in body) && isWire(body.error)) {
    const why = fromResponse(body.error);
    return new TransportError('CONNECTION_LOST', `the server ended it: ${why}`);
  }
  return garbage('the peer answered a request that was never sent');
}
