import type { JsonObject } from './strict-json.ts';

/** One thing an operator does on the other side. */
export interface GuideStep {
  /** One line: what it is for. */
  readonly about: string;
  /** Lines for a shell, ready to be pasted. */
  readonly shell?: string;
  /** A document the shell lines refer to by this file name. */
  readonly file?: { readonly name: string; readonly json: JsonObject };
}

/** One word of a POSIX shell, whatever is in it. */
export const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
