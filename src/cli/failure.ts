/** The exit codes of every command; 0 is done. */
export const exit = {
  done: 0,
  /** A negative answer: invalid, something found, 409 and other 4xx. */
  negative: 1,
  usage: 2,
  /** Server or store unreachable, or 5xx. */
  unreachable: 69,
  /** Recorded, not yet done at the target. */
  unfinished: 75,
  /** 401 or 403. */
  refused: 77,
} as const;

/** Ends a command: `message` goes to stderr as `hallpass: message`, with the hint below it; an empty one was said already. */
export class Failure extends Error {
  override readonly name = 'Failure';
  constructor(
    readonly code: number,
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** There is no such file. Whatever else keeps one from being read says nothing of what is there. */
export class NotThere extends Failure {
  constructor(message: string, hint?: string) {
    super(exit.negative, message, hint);
  }
}

/** The exit code for an HTTP status. */
export function exitForStatus(status: number): number {
  if (status === 401 || status === 403) return exit.refused;
  if (status >= 500) return exit.unreachable;
  return status >= 400 ? exit.negative : exit.done;
}
