/** Reads where the main thread is, from another thread, while it computes without a break. */

import type { Debugger, InspectorNotification, Session } from 'node:inspector';

const FRAMES = 20;

/**
 * One look at a time: the debugger is attached for a moment, which takes some 50 ms, and taken off again.
 *
 * Where the main thread is in native code (a synchronous read, a child process that it waits for), it is stopped when it comes
 * back to JavaScript. The look is given up when `stop` is called, which lets the main thread run on in any case.
 */
export class StackReader {
  #session: Session | null = null;

  /** Have *callback* called with the stack, innermost frame first; not called where it cannot be had. */
  async read(callback: (stack: string) => void): Promise<void> {
    if (this.#session !== null) return;
    try {
      const inspector = await import('node:inspector'); // not every build has it
      const session = new inspector.Session();
      this.#session = session;
      session.connectToMainThread();
      this.#pause(session, callback);
    } catch {
      this.stop(); // or there is no leave to use it; the block is told without a place
    }
  }

  #pause(session: Session, callback: (stack: string) => void): void {
    const urls = new Map<string, string>();
    session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url));
    session.on(
      'Debugger.paused',
      ({ params }: InspectorNotification<Debugger.PausedEventDataType>) => {
        const stack = params.callFrames.slice(0, FRAMES).map((frame) => line(frame, urls));
        this.stop();
        callback(stack.join('\n'));
      },
    );
    // Both at once: they must be there before the block is over.
    session.post('Debugger.enable');
    session.post('Debugger.pause');
  }

  /** Take the debugger off. Idempotent. */
  stop(): void {
    const session = this.#session;
    this.#session = null;
    session?.disconnect();
  }
}

function line(frame: Debugger.CallFrame, urls: ReadonlyMap<string, string>): string {
  const { scriptId, lineNumber, columnNumber = 0 } = frame.location;
  const place = `${frame.url || urls.get(scriptId) || '?'}:${lineNumber + 1}:${columnNumber + 1}`;
  return `    at ${frame.functionName || '<anonymous>'} (${place})`;
}
