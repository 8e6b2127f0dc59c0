/** How a socket to a server is opened and set up, and what its errors mean; in one place for both transports. */

import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Endpoint } from './endpoint.ts';
import type { TransportError } from './errors.ts';
import { connectionFailed } from './transport.ts';

/**
 * A peer that vanished without a word is noticed about 25 seconds after it was last heard, also by a call that waits for
 * a minute: Node.js starts probes after this time, ten of them, a second apart.
 */
export const KEEPALIVE_MS = 15_000;

/** A TCP connection on which a call timed out is trusted further only if the server was heard this recently. */
export const SILENCE_MS = 5_000;

/**
 * Call *callback* after *ms*, and after what has reached the process by then was read: a server must not be found silent
 * because the event loop was blocked. The timer keeps no process alive. What comes back cancels it.
 */
export function afterHearing(ms: number, callback: () => void): () => void {
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    turn = setImmediate(callback);
  }, ms).unref();
  return () => {
    clearTimeout(timer);
    clearImmediate(turn);
  };
}

/** What a socket to *endpoint* is opened with: no delay for small writes, and probes for a peer that is gone. */
export function socketOptions(endpoint: Endpoint) {
  const { host, port, tls } = endpoint;
  const plain = {
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_MS,
  };
  // A name is what a certificate is looked up by; an address cannot be.
  return tls === null ? plain : { ...plain, servername: isIP(host) ? '' : host, ...tls };
}

/** A socket that is connecting; its event `connect` or `secureConnect` tells when bytes can be exchanged. */
export function openSocket(endpoint: Endpoint): Socket {
  const options = socketOptions(endpoint);
  return endpoint.isSecure ? connectTls(options) : connect(options);
}

/** The event of a socket of *endpoint* that says that it is connected. */
export function connectedEvent(endpoint: Endpoint): 'connect' | 'secureConnect' {
  return endpoint.isSecure ? 'secureConnect' : 'connect';
}

/** What went wrong, in a word: `ECONNREFUSED`, `CERT_HAS_EXPIRED`. Messages are left out: they may show anything. */
export function reasonOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.name;
}

/** *error*, met while a connection was made: nothing of a request has been sent. */
export function connectError(endpoint: Endpoint, error: Error): TransportError {
  const { code, syscall } = error as NodeJS.ErrnoException;
  const isOfNetwork =
    error instanceof AggregateError || code === 'ECONNRESET' || (syscall && code !== 'EPROTO');
  if (!endpoint.isSecure || isOfNetwork) {
    return connectionFailed(String(endpoint), reasonOf(error), { cause: error });
  }
  // A wrong certificate or a plain peer does not mend itself.
  const why = `TLS failed: ${reasonOf(error)}`;
  return connectionFailed(String(endpoint), why, { retryable: false, cause: error });
}
