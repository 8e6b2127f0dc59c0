/** A listening socket of the fake server that can refuse connections and take them again, on one port; and cut them. */

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

export const HOST = '127.0.0.1';

/** Has *serve* called with each connection. */
export class Listener {
  readonly #serve: (socket: Socket) => void;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #port = 0;

  constructor(serve: (socket: Socket) => void) {
    this.#serve = serve;
  }

  /** The port, from the first `accept` on; another process may take it while connections are refused. */
  get port(): number {
    return this.#port;
  }

  /** How many connections are open. */
  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** Take connections from now on. Nothing happens when it does already. */
  async accept(): Promise<void> {
    if (this.#server !== null) return;
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#take(socket),
    );
    server.listen(this.#port, HOST);
    await once(server, 'listening');
    this.#server = server;
    this.#port = (server.address() as { port: number }).port;
  }

  /** Refuse connections from now on; open ones stay. */
  async refuse(): Promise<void> {
    // What it calls back when the last connection has ended is not waited for: it listens no more at once.
    this.#server?.close();
    this.#server = null;
  }

  /** Reset every open connection, as a killed server does. */
  cut(): void {
    for (const socket of this.#sockets) cutSocket(socket);
  }

  /** Refuse, cut, and wait until every connection is closed. Idempotent. */
  async close(): Promise<void> {
    await this.refuse();
    const closed = Array.from(this.#sockets, (socket) => {
      return new Promise((resolve) => socket.once('close', resolve)); // and not `once`, which an error would reject
    });
    this.cut();
    await Promise.all(closed);
  }

  #take(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}); // the peer or a fault broke it: for a server, an ordinary end of a connection
    socket.on('close', () => this.#sockets.delete(socket));
    this.#serve(socket);
  }
}

/** End a connection so that the peer sees a reset. */
export function cutSocket(socket: Socket): void {
  // A connection that has said its end cannot be reset: Node.js would leave it open for ever.
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
