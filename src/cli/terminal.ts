import type { Child, Signal } from './processes.ts';

/** What a command sees of the world around it; `main.ts` makes the real one, tests make others. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working folder, absolute. */
  readonly folder: string;
  readonly outIsTerminal: boolean;
  /** How wide the terminal is; undefined where stdout is none. */
  readonly outColumns?: number | undefined;
  readonly errIsTerminal: boolean;
  readonly inIsTerminal: boolean;
  out(text: string | Uint8Array): void;
  /** Resolves once not too much of it waits to be read. */
  outTaken(): Promise<void>;
  err(text: string): void;
  /** All of stdin. @throws Failure when it is longer than `maxBytes` */
  input(maxBytes: number): Promise<Uint8Array>;
  fetch(url: string, init: RequestInit): Promise<Response>;
  now(): number;
  random(bytes: number): Uint8Array;
  /**
   * What becomes of the command when stdout cannot be written any more. Until it is told, it does its work all the same, and
   * its exit code stands. `ends`: at once, as all it does is show; `serves`: nothing, as others are answered.
   */
  withoutReader(it: 'ends' | 'serves'): void;
  /** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
  stopped(): Promise<void>;
  /** Ends the process at once, whatever is under way. */
  end(): void;
  /** Hears the signals that would end this process, and SIGWINCH; the function it gives back ends that. */
  hearSignals(hear: (signal: Signal) => void): () => void;
  /** Starts a command on our own stdin, stdout and stderr, with exactly this environment. @throws Failure */
  start(words: readonly string[], env: Readonly<Record<string, string | undefined>>): Child;
}

export type Style = (text: string) => string;

/** Bold and dim, on a terminal only and never with NO_COLOR (no-color.org: set and not empty). */
export function styles(terminal: Terminal): { readonly bold: Style; readonly dim: Style } {
  const plain = !terminal.outIsTerminal || (terminal.env.NO_COLOR ?? '') !== '';
  const wrap =
    (code: number): Style =>
    (text) =>
      plain ? text : `\u001b[${code}m${text}\u001b[0m`;
  return { bold: wrap(1), dim: wrap(2) };
}

/** Says on stderr what is going on once it takes more than a second, on a terminal only. */
export async function withProgress<T>(terminal: Terminal, what: string, work: Promise<T>): Promise<T> {
  if (!terminal.errIsTerminal) return work;
  const timer = setTimeout(() => terminal.err(`${what} ...\n`), 1000);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/** Rows as columns padded to the widest cell; the last column is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  const line = (row: readonly string[]) =>
    row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

const least = 12;

/** How wide a table of these rows is. */
export const widthOf = (rows: readonly (readonly string[])[]): number =>
  Math.max(
    ...table(rows)
      .split('\n')
      .map((line) => line.length),
  );

/** Shortens one column, to `shortest` at least, so that a table of these rows is no wider than `width`. */
export function fitted(
  rows: readonly (readonly string[])[],
  column: number,
  width: number | undefined,
  shortest = least,
): string[][] {
  const widest = Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const over = width === undefined ? 0 : widthOf(rows) - width;
  const room = Math.max(shortest, widest - over);
  const shorten = (cell: string) => (over <= 0 || cell.length <= room ? cell : `${cell.slice(0, room - 1)}…`);
  return rows.map((row) => row.map((cell, at) => (at === column ? shorten(cell) : cell)));
}

/** A table of these rows, or, where it is wider than `width`, a block for each: all is told, one cell below the other. */
export function tableOrBlocks(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string {
  const all = [headings, ...rows];
  if (width === undefined || widthOf(all) <= width) return table(all);
  const names = headings.map((heading) => heading.toLowerCase());
  const indent = Math.max(...names.slice(1).map((name) => name.length)) + 4;
  const cell = (text: string, at: number) =>
    `${`  ${names[at]}`.padEnd(indent)}${wrapped(text, Math.max(least, width - indent)).join(`\n${' '.repeat(indent)}`)}\n`;
  return rows.map(([first, ...more]) => `${first}\n${more.map((text, at) => cell(text, at + 1)).join('')}`).join('\n');
}

/** In lines of at most `width`, between words where there are any. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let left = text;
  while (left.length > width) {
    const space = left.lastIndexOf(' ', width);
    lines.push(left.slice(0, space > 0 ? space : width));
    left = left.slice(space > 0 ? space + 1 : width);
  }
  return [...lines, left];
}

export { plainJson, shown } from '../lib/controls.ts';
