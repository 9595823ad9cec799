import type { Script } from 'node:vm';

export function codeFile(file: string): string;
export function compile(file: string): Script;
export function run(script: Script, file: string, entryUrl: string): Record<string, unknown>;
