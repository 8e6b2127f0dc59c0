/**
 * The handlers of a worker: which function runs a job, and the type of its data. No I/O.
 *
 * A handler is brought to one shape when it is registered, and wrapped once, when the worker starts.
 */

import { cutUtf8 } from './fields.ts';
import type { Job } from './models.ts';
import { Discard } from './outcomes.ts';
import type { JobContext } from './worker-context.ts';

const REASON_BYTES = 2000; // of a misfit that is told; validators can list thousands of faults

/** Runs a job. What it returns is the job's result: anything that JSON can hold, undefined for none. */
export type Handler<T = unknown, R = unknown> = (job: Job<T>, ctx: JobContext) => R | Promise<R>;

/** A handler as the worker calls it, whatever it was registered as. */
export type BoundHandler = (job: Job, ctx: JobContext) => Promise<unknown>;

/** Makes the handler that runs in place of the one given: `(next) => async (job, ctx) => next(job, ctx)`. */
export type Wrapper = (handler: BoundHandler) => BoundHandler;

/**
 * What a job's data should be: a function that returns it or throws, anything with `parse` (zod, valibot's parser), or
 * with `~standard` (any validator of the Standard Schema).
 */
export type DataSchema<T> =
  | ((value: unknown) => T)
  | { parse(value: unknown): T }
  | { readonly '~standard': StandardProps<T> };

interface StandardProps<T> {
  validate(value: unknown): Validated<T> | Promise<Validated<T>>;
}

type Validated<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

/** The key of a worker's handlers, as it would call them. */
export const HANDLERS: unique symbol = Symbol('jobwire.handlers');

/** Handlers by job name. */
export class HandlerTable {
  readonly #handlers = new Map<string, BoundHandler>();
  readonly #fits = new Map<string, (value: unknown) => unknown>();

  get names(): string[] {
    return [...this.#handlers.keys()].sort();
  }

  /** Register *handler* for jobs named *name*; TypeError when it is no function, or there is one already. */
  add<T>(name: string, handler: Handler<T>, data?: DataSchema<T>): void {
    if (typeof name !== 'string' || name === '') {
      throw new TypeError(`expected the name of a job, got ${JSON.stringify(name)}`);
    }
    if (typeof handler !== 'function') {
      throw new TypeError(
        `expected a handler for '${name}' to be a function, got ${typeof handler}`,
      );
    }
    if (this.#handlers.has(name)) throw new TypeError(`there is a handler for '${name}' already`);
    if (data !== undefined) this.#fits.set(name, fitter(data));
    // What the data is, its schema or the writer of the handler has promised.
    this.#handlers.set(name, async (job, ctx) => handler(job as Job<T>, ctx));
  }

  /** The table to work with: every handler inside *wrap*, and given data that fits. */
  wrapped(wrap: Wrapper | undefined): ReadonlyMap<string, BoundHandler> {
    const table = new Map<string, BoundHandler>();
    for (const [name, handler] of this.#handlers) {
      const outer = wrap === undefined ? handler : wrap(handler);
      const fit = this.#fits.get(name);
      table.set(name, fit === undefined ? outer : fitted(outer, fit));
    }
    return table;
  }
}

function fitted(handler: BoundHandler, fit: (value: unknown) => unknown): BoundHandler {
  return async (job, ctx) => {
    const data = await fit(job.data);
    // What a job makes only when it is asked for is no member of its own.
    const own = {
      ...job,
      data,
      isFinished: job.isFinished,
      get rawData() {
        return job.rawData;
      },
      get rawResult() {
        return job.rawResult;
      },
    };
    return handler(own, ctx);
  };
}

/** What turns a job's data into what *schema* says; for data that does not fit it throws Discard: no retry mends a payload. */
function fitter<T>(schema: DataSchema<T>): (value: unknown) => unknown {
  const given = Object(schema) as Partial<{ parse: unknown; '~standard': StandardProps<T> }>;
  const standard = given['~standard']; // also functions may have it
  if (standard !== undefined) {
    return async (value) => {
      const result = await standard.validate(value);
      if (result.issues === undefined) return result.value;
      throw misfit(result.issues.map((issue) => issue.message).join('; '));
    };
  }
  const parse = typeof given.parse === 'function' ? given.parse.bind(schema) : schema;
  if (typeof parse !== 'function') {
    throw new TypeError(
      `expected data to be a function, or to have parse or '~standard', got ${typeof schema}`,
    );
  }
  return async (value) => {
    try {
      return await parse(value);
    } catch (error) {
      throw misfit(error instanceof Error ? error.message : String(error));
    }
  };
}

function misfit(why: string): Discard {
  return new Discard(cutUtf8(`the job's data does not fit: ${why}`, REASON_BYTES));
}
