/** A pool of keep-alive connections in which nothing lies that a later call could take for its answer. */

import { Agent, type AgentOptions } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Endpoint } from './endpoint.ts';
import { socketOptions } from './sockets.ts';

export const MAX_CONNECTIONS = 100;
const MAX_IDLE_MS = 50_000; // below the keep-alive time of common servers and proxies

// What Node.js lets an agent decide; its types leave these two out.
interface Pooling {
  keepSocketAlive(socket: Duplex): boolean;
  reuseSocket(socket: Duplex, request: unknown): void;
}

/**
 * The agent of one client. The connection that was used last is taken first, so that surplus ones grow old. One that lies
 * idle does not keep the process alive; bytes or an end that arrive then are no answer, and it is closed at once.
 */
export function poolFor(endpoint: Endpoint): Agent {
  const options: AgentOptions = {
    ...socketOptions(endpoint),
    keepAlive: true,
    maxSockets: MAX_CONNECTIONS,
    maxFreeSockets: MAX_CONNECTIONS,
    scheduling: 'lifo',
    timeout: MAX_IDLE_MS, // of idle ones; calls have their own
  };
  const agent = endpoint.isSecure ? new SecureAgent(options) : new Agent(options);
  const pool = agent as unknown as Pooling;
  const keep = pool.keepSocketAlive.bind(agent);
  const reuse = pool.reuseSocket.bind(agent);
  const destroy = function (this: Duplex): void {
    this.destroy();
  };
  pool.keepSocketAlive = (socket) => {
    if (!keep(socket) || socket.readableLength > 0) return false;
    socket.on('data', destroy);
    socket.on('end', destroy);
    return true;
  };
  pool.reuseSocket = (socket, request) => {
    socket.off('data', destroy);
    socket.off('end', destroy);
    reuse(socket, request);
  };
  return agent;
}
