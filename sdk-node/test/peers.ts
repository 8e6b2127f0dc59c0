/** Servers that do as a test says, on a port of 127.0.0.1 that is free. They end with the test. */

import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

type Members = Record<string, unknown>;

/** One TCP connection of a client, with lines as objects. */
export class Peer {
  readonly socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {}); // a client may leave as it likes
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  /** The next request; undefined when the client has left. */
  async next(): Promise<Members | undefined> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : JSON.parse(value);
  }

  send(members: Members): void {
    this.socket.write(`${JSON.stringify(members)}\n`);
  }

  /** Answer the hello in version 2. */
  async greet(): Promise<Members | undefined> {
    const hello = await this.next();
    this.send({ ok: true, v: 2, rid: hello?.rid });
    return hello;
  }

  /** Answer *request* with these members. */
  answer(request: Members | undefined, members: Members = {}): void {
    this.send({ ok: true, rid: request?.rid, ...members });
  }
}

export interface Served {
  readonly port: number;
  /** Connections so far. */
  readonly count: () => number;
  /** Take no more connections. */
  readonly stop: () => Promise<void>;
}

/** Have *serve* called with each connection and its number, from 0. What it throws fails the test. */
export async function listen(
  t: TestContext,
  serve: (socket: Socket, index: number) => void | Promise<void>,
  port = 0,
): Promise<Served> {
  const sockets = new Set<Socket>();
  const failures: unknown[] = [];
  const server = createServer((socket) => {
    const index = sockets.size;
    sockets.add(socket);
    socket.on('error', () => {});
    Promise.resolve(serve(socket, index)).catch((error) => failures.push(error));
  });
  const stop = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await stop();
    if (failures.length > 0) throw failures[0];
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, count: () => sockets.size, stop };
}

/** As listen(), for the lines of the TCP wire. */
export function listenTcp(
  t: TestContext,
  serve: (peer: Peer, index: number) => void | Promise<void>,
): Promise<Served> {
  return listen(t, (socket, index) => serve(new Peer(socket), index));
}

/** The head and body of one HTTP request as it came. */
export async function httpRequest(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += chunk;
    const [head = '', body] = text.split('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (body !== undefined && Buffer.byteLength(body) >= length) return text;
  }
  return text;
}

/** An HTTP answer with a JSON body. */
export function httpAnswer(members: Members, status = 200, headers = ''): string {
  const body = JSON.stringify(members);
  return `HTTP/1.1 ${status} Some\r\nContent-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
