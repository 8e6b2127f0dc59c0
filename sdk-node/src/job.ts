/** Jobs of answers: the object of the wire as a Job, which can still give its payload as the text that it was. */

import { TERMINAL_STATES } from './error-codes.ts';
import { rawMember } from './json-text.ts';
import { DEFAULTS } from './limits.ts';
import type { AnyJobState, Job, JobFailure, LogLine } from './models.ts';
import * as reading from './reading.ts';
import { encode } from './strict-json.ts';

type Wire = reading.Wire;

/**
 * The job of an answer's object. *text* gives the object as it was sent; it is asked for when `rawData` or `rawResult` is.
 *
 * Throws Malformed when the object cannot be a job.
 */
export function parseJob<T>(value: unknown, text: (() => string) | null = null): Job<T> {
  return new JobSnapshot(reading.asObject(value, 'job'), text) as Job<T>;
}

class JobSnapshot implements Job {
  readonly id: string;
  readonly queue: string;
  readonly name: string;
  readonly data: unknown;
  readonly state: AnyJobState;
  readonly priority: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly delivery: number;
  readonly lease: string | null;
  readonly leaseExpiresAt: Date | null;
  readonly runAt: Date | null;
  readonly delayUntil: Date | null;
  readonly createdAt: Date | null;
  readonly updatedAt: Date | null;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly lastHeartbeat: Date | null;
  readonly cancelRequestedAt: Date | null;
  readonly reason: string | null;
  readonly lastError: string | null;
  readonly errors: readonly JobFailure[];
  readonly logs: readonly LogLine[];
  readonly progress: number | null;
  readonly result: unknown;
  readonly metadata: unknown;
  readonly tags: readonly string[];
  readonly dependsOn: readonly string[];
  readonly groupId: string | null;
  readonly flowId: string | null;
  readonly customId: string | null;
  readonly uniqueKey: string | null;
  readonly uniqueForMs: number | null;
  readonly backoff: string;
  readonly backoffDelayMs: number;
  readonly backoffScheduleMs: readonly number[];
  readonly backoffMaxMs: number;
  readonly jitter: number;
  readonly ttlMs: number | null;
  readonly timeoutMs: number | null;
  readonly lifo: boolean;
  readonly removeOnComplete: boolean;
  readonly removeOnFail: boolean;
  readonly workerId: string | null;
  readonly #text: (() => string) | null;

  constructor(wire: Wire, text: (() => string) | null) {
    this.#text = text;
    this.id = reading.needed(reading.text(wire, 'id'), 'id');
    this.queue = reading.text(wire, 'queue') ?? '';
    this.name = reading.text(wire, 'name') ?? '';
    this.data = wire.data ?? null;
    this.state = reading.text(wire, 'state') ?? 'waiting';
    this.priority = reading.number(wire, 'priority') ?? DEFAULTS.priority;
    this.attempt = reading.number(wire, 'attempt') ?? 0;
    this.maxAttempts = reading.number(wire, 'max_attempts') ?? DEFAULTS.max_attempts;
    this.delivery = reading.number(wire, 'delivery') ?? 0;
    this.lease = reading.text(wire, 'lease');
    this.leaseExpiresAt = reading.instant(wire, 'lease_expires_at');
    this.runAt = reading.instant(wire, 'run_at');
    this.delayUntil = reading.instant(wire, 'delay_until');
    this.createdAt = reading.instant(wire, 'created_at');
    this.updatedAt = reading.instant(wire, 'updated_at');
    this.startedAt = reading.instant(wire, 'started_at');
    this.completedAt = reading.instant(wire, 'completed_at');
    this.lastHeartbeat = reading.instant(wire, 'last_heartbeat');
    this.cancelRequestedAt = reading.instant(wire, 'cancel_requested_at');
    this.reason = reading.text(wire, 'reason');
    this.lastError = reading.text(wire, 'last_error');
    this.errors = reading.list(wire, 'errors', failure);
    this.logs = reading.list(wire, 'logs', logLine);
    this.progress = reading.number(wire, 'progress');
    this.result = wire.result ?? null;
    this.metadata = wire.metadata ?? null;
    this.tags = reading.list(wire, 'tags', reading.asText);
    this.dependsOn = reading.list(wire, 'depends_on', reading.asText);
    this.groupId = reading.text(wire, 'group_id');
    this.flowId = reading.text(wire, 'flow_id');
    this.customId = reading.text(wire, 'custom_id');
    this.uniqueKey = reading.text(wire, 'unique_key');
    this.uniqueForMs = reading.number(wire, 'unique_for_ms');
    this.backoff = reading.text(wire, 'backoff') ?? DEFAULTS.backoff;
    this.backoffDelayMs = reading.number(wire, 'backoff_delay_ms') ?? DEFAULTS.backoff_delay_ms;
    this.backoffScheduleMs = reading.list(wire, 'backoff_schedule_ms', reading.asNumber);
    this.backoffMaxMs = reading.number(wire, 'backoff_max_ms') ?? DEFAULTS.backoff_max_ms;
    this.jitter = reading.number(wire, 'jitter') ?? DEFAULTS.jitter;
    this.ttlMs = reading.number(wire, 'ttl_ms');
    this.timeoutMs = reading.number(wire, 'timeout_ms');
    this.lifo = reading.flag(wire, 'lifo');
    this.removeOnComplete = reading.flag(wire, 'remove_on_complete');
    this.removeOnFail = reading.flag(wire, 'remove_on_fail');
    this.workerId = reading.text(wire, 'worker_id');
  }

  get rawData(): string {
    return this.#raw('data') ?? encode(this.data);
  }

  get rawResult(): string {
    return this.#raw('result') ?? encode(this.result);
  }

  get isFinished(): boolean {
    return TERMINAL_STATES.has(this.state);
  }

  #raw(name: string): string | null {
    return this.#text === null ? null : rawMember(this.#text(), name);
  }
}

function failure(value: unknown): JobFailure {
  const wire = reading.asObject(value, 'errors');
  return {
    attempt: reading.number(wire, 'attempt') ?? 0,
    at: reading.instant(wire, 'at'),
    kind: reading.text(wire, 'kind') ?? 'error',
    message: reading.text(wire, 'message') ?? '',
    workerId: reading.text(wire, 'worker_id'),
  };
}

function logLine(value: unknown): LogLine {
  const wire = reading.asObject(value, 'logs');
  return {
    at: reading.instant(wire, 'timestamp'),
    message: reading.text(wire, 'message') ?? '',
  };
}
