/** Reads the response to a request, and refuses what two readers could understand differently or is too long. */

import type { ClientRequest, IncomingMessage } from 'node:http';
import { ProtocolError, type TransportError } from './errors.ts';
import type { Response } from './http-exchange.ts';
import { connectionLost } from './transport.ts';

/** Bytes of a body that a server may send. */
export const MAX_BODY = 64 * 1024 * 1024;

/** Tell *done* of the whole response to *sent*, or *fail* why there is none. One of the two is called, once. */
export function readResponse(
  sent: ClientRequest,
  fail: (error: ProtocolError | TransportError) => void,
  done: (response: Response) => void,
): void {
  sent.on('upgrade', (_response, socket) => {
    socket.destroy();
    fail(refused('the peer switched protocols, which nobody asked for'));
  });
  sent.on('response', (response) => {
    if (Number(response.headers['content-length'] ?? 0) > MAX_BODY) {
      fail(tooLong());
      return;
    }
    readBody(response, fail, (body) => {
      done({ status: response.statusCode ?? 0, headers: response.headers, body });
    });
  });
}

function readBody(
  response: IncomingMessage,
  fail: (error: ProtocolError | TransportError) => void,
  done: (body: Uint8Array) => void,
): void {
  const chunks: Uint8Array[] = [];
  let size = 0;
  response.on('data', (chunk: Uint8Array) => {
    size += chunk.length;
    if (size > MAX_BODY) fail(tooLong());
    else chunks.push(chunk);
  });
  response.on('end', () => done(Buffer.concat(chunks)));
  response.on('error', () => {
    fail(connectionLost('the server', 'it ended before the answer was complete'));
  });
}

function tooLong(): ProtocolError {
  return refused(`the body of the response is over ${MAX_BODY} bytes`);
}

function refused(message: string): ProtocolError {
  return new ProtocolError('PROTOCOL_ERROR', message);
}
