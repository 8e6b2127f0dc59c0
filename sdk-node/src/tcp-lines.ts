/**
 * Bytes of a connection in, lines out.
 *
 * Rule: a length is checked before bytes are kept.
 */

const NEWLINE = 0x0a;
const SPARE = 64 * 1024; // bytes that the buffer may keep when it is empty

/** Thrown for a line that is longer than the limit; nothing that follows can be read. */
export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

export class LineDecoder {
  readonly #limit: number;
  #buffer = new Uint8Array(1024);
  #length = 0; // bytes of the line that has begun, without its end

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The lines that *chunk*, the next bytes, completes, without their ends. A line is good until the next one is taken. */
  *push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const rest = chunk.subarray(start, end);
      this.#check(rest.length);
      start = end + 1;
      yield this.#length === 0 ? rest : this.#take(rest);
    }
    this.#check(chunk.length - start);
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  #check(more: number): void {
    if (this.#length + more > this.#limit) {
      throw new LineTooLong(`a line of the peer is over ${this.#limit} bytes`);
    }
  }

  /** The line that *rest* ends. */
  #take(rest: Uint8Array): Uint8Array {
    this.#keep(rest);
    const line = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    if (this.#buffer.length > SPARE) this.#buffer = new Uint8Array(1024);
    return line;
  }

  #keep(bytes: Uint8Array): void {
    const wanted = this.#length + bytes.length;
    if (wanted > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(wanted, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = wanted;
  }
}
