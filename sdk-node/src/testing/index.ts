/**
 * Helpers for the tests of programs that use Jobwire.
 *
 *     FakeServer     a server in this process, over HTTP and TCP, with a clock that the test moves and faults on demand
 *     inlineClient   a client that runs handlers inside `push`
 *     workOne        pull one job, run it, settle it
 */

export type { FakeServerOptions, WaitOptions } from './fake-server.ts';
export { FakeServer } from './fake-server.ts';
export type { Call, OperationName } from './fake-service.ts';
export type { InlineClient, InlineOptions } from './inline.ts';
export { inlineClient } from './inline.ts';
export type { Handlers, Outcome, WorkOneOptions } from './run-one.ts';
export { workOne } from './run-one.ts';
