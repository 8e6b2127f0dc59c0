/** Sending over SMTP: settings from the environment, and connections that are kept for the next mail. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

const TIMEOUT_MS = 30_000;
const COMPLETE_REPLY = /^(?:\d{3}-.*\r?\n)*(\d{3})(?: .*)?\r?\n/;

/** The settings; throws an Error with the names of all variables that are missing, which fails the job and not the start. */
export function settingsFromEnvironment(env = process.env) {
  const missing = ['SMTP_HOST', 'MAIL_FROM'].filter((name) => !env[name]);
  if (missing.length > 0) {
    throw new Error(`set ${missing.join(' and ')} in the worker's environment`);
  }
  const username = env.SMTP_USERNAME || null;
  return {
    host: env.SMTP_HOST,
    port: Number(env.SMTP_PORT ?? 587),
    username,
    password: env.SMTP_PASSWORD ?? '',
    starttls: (env.SMTP_STARTTLS ?? (username ? 'on' : 'off')) === 'on',
    sender: env.MAIL_FROM,
  };
}

/** The mail server said no; from 500 on for good. */
export class Refusal extends Error {
  name = 'Refusal';

  constructor(code, reply) {
    super(reply);
    this.code = code;
  }

  get isForGood() {
    return this.code >= 500;
  }
}

/** Sends mails, each over a connection that no other uses meanwhile. */
export class Mailer {
  #idle = [];

  /** *mail* is `{ to, text }`. Rejects with Refusal or another Error; the connection is then given up. */
  async send(settings, mail) {
    const connection = (await this.#kept()) ?? (await Connection.open(settings));
    try {
      const [, sender = settings.sender] = /<(.*)>/.exec(settings.sender) ?? [];
      await connection.command(`MAIL FROM:<${sender}>`, 250);
      await connection.command(`RCPT TO:<${mail.to}>`, 250);
      await connection.command('DATA', 354);
      await connection.command(`${mail.text.replace(/^\./gm, '..')}.`, 250);
    } catch (error) {
      connection.close();
      throw error;
    }
    this.#idle.push(connection);
  }

  close() {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  /** A connection of an earlier mail that is still alive, or null. */
  async #kept() {
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      try {
        await connection.command('NOOP', 250);
        return connection;
      } catch {
        connection.close(); // it died while nobody used it; the next one may do
      }
    }
    return null;
  }
}

/** One command after the other, and the reply to each. */
class Connection {
  #socket;
  #received = '';
  #failure = null;
  #wake = () => {};

  static async open({ host, port, username, password, starttls }) {
    const connection = new Connection(connect(port, host));
    try {
      await connection.#reply(220);
      await connection.command('EHLO localhost', 250);
      if (starttls) {
        await connection.command('STARTTLS', 220);
        await connection.#secure(host);
        await connection.command('EHLO localhost', 250);
      }
      if (username) {
        const secret = Buffer.from(`\0${username}\0${password}`).toString('base64');
        await connection.command(`AUTH PLAIN ${secret}`, 235);
      }
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  constructor(socket) {
    this.#listen(socket);
  }

  /** Send *line*, and wait for its reply. Rejects with Refusal when that has another code. */
  command(line, code) {
    this.#socket.write(`${line}\r\n`);
    return this.#reply(code);
  }

  close() {
    this.#socket.destroy();
  }

  async #reply(code) {
    let reply = COMPLETE_REPLY.exec(this.#received);
    for (; reply === null; reply = COMPLETE_REPLY.exec(this.#received)) {
      if (this.#failure) throw this.#failure;
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#received = this.#received.slice(reply[0].length);
    if (Number(reply[1]) !== code) throw new Refusal(Number(reply[1]), reply[0].trim());
  }

  async #secure(host) {
    this.#socket.removeAllListeners('data');
    const secured = connectTls({ socket: this.#socket, servername: host });
    this.#received = ''; // what came before the encryption may be anybody's
    this.#listen(secured);
    await once(secured, 'secureConnect');
  }

  #listen(socket) {
    this.#socket = socket;
    const fail = (error) => {
      this.#failure ??= error;
      this.#wake();
    };
    socket.on('data', (chunk) => {
      this.#received += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the mail server closed the connection')));
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('the mail server is silent')));
  }
}
