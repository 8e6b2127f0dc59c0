/**
 * A FakeServer as a process of its own, for the contract tests of sdk-python/tests/contract.
 *
 * Says where it is, `{"http": URL, "tcp": URL}`, and then obeys one line after another, answering each with `{}`:
 * `{"advance_ms": N}` moves its clock. It ends with its input.
 */

import { createInterface } from 'node:readline';
import { FakeServer } from '../src/testing/index.ts';

await using fake = await FakeServer.start();
console.log(JSON.stringify({ http: fake.url, tcp: fake.tcpUrl }));
for await (const line of createInterface({ input: process.stdin })) {
  const { advance_ms: ms } = JSON.parse(line) as { advance_ms: number };
  fake.advance(ms);
  console.log('{}');
}
