/** What a client and a worker tell of themselves: never a payload, never a token. Silent unless asked. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** One line of the log. `fields` has the data of the message: `jobId`, `code`, `op`, `delayMs`, `error` and the like. */
export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Called with each line; what it throws is dropped, so that a broken log never breaks the work. */
export type LogCallback = (entry: LogEntry) => void;

/** A log that is always there, and never throws. */
export type Log = (
  level: LogLevel,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

export function logTo(callback: LogCallback | undefined): Log {
  if (callback === undefined) return () => {};
  return (level, message, fields = {}) => {
    try {
      callback({ level, message, fields });
    } catch {
      // The owner of the callback has no other place to be told at.
    }
  };
}
