/** Golden vectors of the specification. */

import { readFileSync } from 'node:fs';

/** Where the tests run, sdk-node/build/test, seen from the root of the repository. */
export const ROOT = new URL('../../../', import.meta.url);

/** The vectors of one file of spec/vectors. */
export function vectors<T>(name: string): T[] {
  const file = new URL(`spec/vectors/${name}.json`, ROOT);
  return JSON.parse(readFileSync(file, 'utf8')).vectors;
}
