/** Job ids made by the client: UUID version 7 (RFC 9562), so that every push can be repeated without a second job. */

import { randomFillSync } from 'node:crypto';

const COUNTER_BITS = 12; // rand_a of RFC 9562 section 6.2, method 1: a counter below the millisecond
const PER_MS = 2 ** COUNTER_BITS;
const RANDOM = 8; // bytes an id

/**
 * Makes version 7 UUIDs that only grow, also when the wall clock steps back.
 *
 * More than 4,096 ids in a millisecond borrow from the next one.
 */
export class IdSource {
  #ms = 0; // of the last id
  #counter = 0; // of the last id, within its millisecond
  readonly #now: () => number;
  // Random bytes for the ids to come: many at a time cost little more than a few.
  readonly #pool = new Uint8Array(256 * RANDOM);
  #used = this.#pool.length;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** A new id, lower-case and hyphenated. */
  next(): string {
    const now = Math.floor(this.#now());
    if (now > this.#ms) {
      this.#ms = now;
      this.#counter = 0;
    } else if (++this.#counter === PER_MS) {
      this.#ms += 1;
      this.#counter = 0;
    }
    return formatUuid7(this.#ms, this.#counter, this.#random());
  }

  #random(): Uint8Array {
    if (this.#used === this.#pool.length) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    this.#used += RANDOM;
    return this.#pool.subarray(this.#used - RANDOM, this.#used);
  }
}

/** 48 bits of *ms*, 12 of *counter*, 62 of the 8 bytes of *random*, with version and variant in their places. */
export function formatUuid7(ms: number, counter: number, random: Uint8Array): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(ms, 0, 6);
  bytes.writeUInt16BE(0x7000 | (counter & (PER_MS - 1)), 6);
  bytes.set(random, 8);
  bytes[8] = 0x80 | ((random[0] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

// The one source of the process: ids of several clients must not interleave backwards.
const SOURCE = new IdSource();

/** A new id of this process. */
export function uuid7(): string {
  return SOURCE.next();
}
