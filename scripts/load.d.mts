import type { Script } from 'node:vm';

export function beside(url: string, path: string): string;
export function codeFile(file: string): string;
export function laterFile(file: string): string;
export function compile(file: string, from?: number): Script;
export function run(
  file: string,
  entryUrl: string,
  compiled?: (file: string, from?: number) => Script,
): { exported: Record<string, unknown>; ran: ReadonlyMap<string, unknown> };
