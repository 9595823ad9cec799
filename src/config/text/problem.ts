/** One thing wrong with a config. `line` and `column` count from 1; both are 0 for a config that never was text. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly hint?: string;
}

/** Everything that is wrong with a config, in the order of the file. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
  }
}

/** `file:line:column: problem (hint)`. */
export function formatProblem({ file, line, column, message, hint }: Problem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return `${place}: ${message}${hint === undefined ? '' : ` (${hint})`}`;
}
