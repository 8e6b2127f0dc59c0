/** The bytes of a connection to the TCP door of the fake server, cut into lines; and who has come to the wrong door. */

import { LIMITS } from '../limits.ts';
import { LineDecoder, LineTooLong } from '../tcp-lines.ts';
import { Refused } from './fake-job.ts';

// What begins as a request of HTTP does, also of HTTP/2 with prior knowledge.
const HTTP = /^(GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|CONNECT|TRACE|PRI) /;
const LONGEST = 8; // bytes of the longest of these words, with its space
const TLS = 0x16;
const BINARY: readonly number[] = [0x01, 0x02, 0x03, 0x10]; // frames of RustQueue

export class LineStream {
  readonly #decoder = new LineDecoder(LIMITS.line_bytes);
  /** The first bytes, until they are known to be those of no other protocol. */
  #head: Buffer | null = Buffer.alloc(0);
  #hasPartial = false;
  #isOver = false;

  /** The lines that *chunk* completes, without their ends; a Refused in place of what cannot be read, and then no more. */
  push(chunk: Uint8Array): (Uint8Array | Refused)[] {
    if (this.#isOver || chunk.length === 0) return [];
    const foreign = this.#foreign(chunk);
    if (foreign !== null) return this.#refused('UNSUPPORTED_PROTOCOL', { saw: foreign });
    this.#hasPartial = chunk.at(-1) !== 0x0a;
    const lines: (Uint8Array | Refused)[] = [];
    try {
      for (const line of this.#decoder.push(chunk)) lines.push(Uint8Array.from(line));
    } catch (error) {
      if (!(error instanceof LineTooLong)) throw error;
      lines.push(...this.#refused('PAYLOAD_TOO_LARGE', { limit: LIMITS.line_bytes }));
    }
    return lines;
  }

  /** The last line, which needs no end (JW-TCP-5). */
  end(): (Uint8Array | Refused)[] {
    return this.#hasPartial ? this.push(Buffer.from('\n')) : [];
  }

  #refused(code: string, details: Record<string, unknown>): Refused[] {
    this.#isOver = true;
    return [new Refused(code, 'the connection cannot be read any further', details)];
  }

  /** The protocol that the first bytes are of; null for ours. */
  #foreign(chunk: Uint8Array): 'http' | 'tls' | 'binary' | null {
    if (this.#head === null) return null;
    const head = Buffer.concat([this.#head, chunk.subarray(0, LONGEST)]);
    this.#head = head.length < LONGEST ? head : null;
    const first = head[0] ?? 0;
    if (first === TLS) return 'tls';
    if (BINARY.includes(first)) return 'binary';
    return HTTP.test(head.toString('latin1')) ? 'http' : null;
  }
}
