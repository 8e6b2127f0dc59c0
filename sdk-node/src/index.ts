/** The Node client for Jobwire: push jobs and run workers, with no dependencies. */

export { Client } from './client.ts';
export type { JobwireErrorOptions } from './errors.ts';
export {
  AuthError,
  ConflictError,
  isJobwireError,
  JobwireError,
  NotFoundError,
  ProtocolError,
  RateLimitedError,
  RequestTimeoutError,
  safeToRetry,
  TransportError,
  UnavailableError,
  ValidationError,
} from './errors.ts';
export type { LogCallback, LogEntry, LogLevel } from './log.ts';
export type { MockHandler } from './mock-transport.ts';
export { MockTransport } from './mock-transport.ts';
export type {
  AnyJobState,
  BulkResult,
  Capabilities,
  FailResult,
  Flow,
  Health,
  HeartbeatBatchResult,
  HeartbeatResult,
  ItemResult,
  Job,
  JobFailure,
  JobRef,
  JobState,
  LogLine,
  Page,
  PushResult,
  QueueCounts,
  QueueInfo,
  QueueStats,
  StateResult,
  WorkerInfo,
  WorkerReport,
} from './models.ts';
export type {
  AckEntry,
  AckOptions,
  BulkOptions,
  CallOptions,
  CallSettings,
  ClientOptions,
  FailItem,
  FailOptions,
  FindOptions,
  FindPageOptions,
  HeartbeatBatchOptions,
  HeartbeatEntry,
  HeartbeatOptions,
  JobFilter,
  JobOptions,
  PageOptions,
  PauseOptions,
  ProgressOptions,
  PullOptions,
  PushBatchOptions,
  PushItem,
  PushOptions,
  QueueSettings,
  ReleaseOptions,
  TlsOptions,
} from './options.ts';
export { Discard, HandlerOutcome, Release, RetryIn } from './outcomes.ts';
export type { Reply, Request } from './request.ts';
export type { NoticeCallback, SendOptions, Transport } from './transport.ts';
export { VERSION } from './version.ts';
export { Worker } from './worker.ts';
export type { JobContext } from './worker-context.ts';
export type { BoundHandler, DataSchema, Handler, Wrapper } from './worker-handlers.ts';
export type { WorkerOptions } from './worker-options.ts';
export { Stopped, type StopReason } from './worker-outcome.ts';
