/**
 * Where a client connects, and how: read from a URL, checked once, and safe to print.
 *
 * Rule: the token is in no text of it, no error and no log.
 */

import { domainToASCII } from 'node:url';
import type { ClientOptions, TlsOptions } from './options.ts';

export const DEFAULT_URL = 'http://localhost:6790';
const PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, tcp: 6789, tcps: 6789 };
const PRINTABLE = /^[\x21-\x7e]+$/;

/** A server's address and what a connection to it needs. `prefix` is the path of an HTTP URL, without a last slash. */
export class Endpoint {
  readonly scheme: string;
  /** A name or an address, an IPv6 one without its brackets. */
  readonly host: string;
  readonly port: number;
  readonly prefix: string;
  readonly tls: TlsOptions | null;
  readonly connectTimeoutMs: number;
  readonly clientName: string;
  readonly bigints: boolean;
  readonly #token: string | null; // private, so that nothing that prints objects can show it

  constructor(url: URL, settings: ClientOptions, token: string | null) {
    const { connectTimeoutMs = 5_000, tls = {}, bigints = false } = settings;
    if (!(connectTimeoutMs >= 0)) {
      throw new TypeError(
        `expected connectTimeoutMs to be a number, 0 or more, got ${connectTimeoutMs}`,
      );
    }
    this.scheme = url.protocol.slice(0, -1);
    this.host = hostOf(url);
    this.port = Number(url.port) || (PORTS[this.scheme] ?? 0);
    this.prefix = prefixOf(url);
    this.tls = this.isSecure ? tls : null;
    this.connectTimeoutMs = connectTimeoutMs;
    this.clientName = plain('clientName', settings.clientName ?? null) ?? 'jobwire-node';
    this.bigints = bigints;
    this.#token = token;
  }

  get token(): string | null {
    return this.#token;
  }

  get isTcp(): boolean {
    return this.scheme.startsWith('tcp');
  }

  get isSecure(): boolean {
    return this.scheme.endsWith('s');
  }

  /** Host and port as in a Host header. */
  get authority(): string {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    return `${host}:${this.port}`;
  }

  toString(): string {
    return `${this.scheme}://${this.authority}${this.prefix}`;
  }
}

/**
 * The endpoint of a client's options; JOBWIRE_URL and JOBWIRE_TOKEN stand in for those that are left out.
 *
 * Throws TypeError for a URL or a token that cannot be used; the message never shows the token or a password.
 */
export function resolveEndpoint(settings: ClientOptions): Endpoint {
  const { env } = process;
  const url = parse(settings.url ?? (env.JOBWIRE_URL || DEFAULT_URL));
  const token = plain('token', settings.token ?? (env.JOBWIRE_TOKEN || null));
  const endpoint = new Endpoint(url, settings, token);
  if (settings.tls !== undefined && !endpoint.isSecure) {
    throw new TypeError(`expected an https or tcps URL for tls, got ${endpoint.scheme}`);
  }
  return endpoint;
}

function parse(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new TypeError('expected url to be a URL'); // without a cause: it shows the text
  }
  if (!Object.hasOwn(PORTS, url.protocol.slice(0, -1))) {
    throw new TypeError('expected url to start with http://, https://, tcp:// or tcps://');
  }
  if (url.username || url.password) {
    throw new TypeError('expected url to hold no credentials; give the token as `token`');
  }
  if (url.search || url.hash) throw new TypeError('expected url to have no query and no fragment');
  return url;
}

/** The URL parser leaves names of schemes that it does not know as they are, percent-encoded. */
function hostOf(url: URL): string {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const name = host.includes(':') ? host : domainToASCII(decodeURIComponent(host));
  if (!PRINTABLE.test(name)) throw new TypeError('expected url to have a host');
  return name;
}

function prefixOf(url: URL): string {
  const prefix = url.pathname.replace(/\/+$/, '');
  if (prefix && url.protocol.startsWith('tcp'))
    throw new TypeError('expected a tcp url to have no path');
  return prefix;
}

/** *value*, refused, without being shown, when it could not stand in a header. */
function plain(name: string, value: string | null): string | null {
  if (value !== null && !PRINTABLE.test(value)) {
    throw new TypeError(`expected ${name} to be printable ASCII without spaces`);
  }
  return value;
}
