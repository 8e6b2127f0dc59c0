/** A public name cannot appear or vanish unnoticed. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as jobwire from '../src/index.ts';

test('index.ts - the names of all values', () => {
  const expected =
    'AuthError Client ConflictError Discard HandlerOutcome JobwireError MockTransport NotFoundError ProtocolError RateLimitedError Release RequestTimeoutError RetryIn Stopped TransportError UnavailableError VERSION ValidationError Worker isJobwireError safeToRetry';
  assert.deepEqual(expected.split(' '), Object.keys(jobwire).sort());
});
