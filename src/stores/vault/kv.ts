import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { Vault } from '../../sessions/vault.ts';
import { isVaultPath } from '../../sessions/vault-access.ts';
import { StoreError } from '../store.ts';

/** The most a Vault keeps in one secret is 1 MiB by default; in JSON it may be larger. */
export const maxAnswerBytes = 2 * 1024 * 1024;

const maxFolders = 500;
const maxNames = 10_000;

/** The name itself: one that no KV engine of ours can hold is not there. */
export function checkName(name: string, fault: 'absent' | 'invalid' = 'absent'): string {
  if (!isVaultPath(name)) throw new StoreError(fault);
  return name;
}

/** The object under `data`. @throws UpstreamError damaged */
export function dataOf(answer: JsonObject, step: string): JsonObject {
  if (isJsonObject(answer.data)) return answer.data;
  throw new UpstreamError('damaged', { step, reason: 'unexpected_answer' });
}

/** All names under a path of the API, folder by folder. Those that a REF could not name are left out. */
export async function listNames(vault: Vault, path: string, deadline: Deadline): Promise<string[]> {
  const names: string[] = [];
  const folders = [''];
  for (let asked = 0; folders.length > 0; asked++) {
    if (asked >= maxFolders || names.length > maxNames)
      throw new UpstreamError('unreachable', { step: 'list', reason: 'too_many' });
    const folder = folders.pop() as string;
    for (const key of await keysIn(vault, `${path}/${folder}`, deadline)) {
      const isFolder = key.endsWith('/');
      const name = folder + (isFolder ? key.slice(0, -1) : key);
      if (isVaultPath(name)) (isFolder ? folders : names).push(isFolder ? `${name}/` : name);
    }
  }
  return names.sort();
}

async function keysIn(vault: Vault, path: string, deadline: Deadline): Promise<string[]> {
  const call = { method: 'GET', path: `${path}?list=true`, step: 'list', maxBytes: maxAnswerBytes } as const;
  const answer = await vault.ask(call, deadline).catch((error) => {
    // A folder with nothing in it is not there; a mount that is not there says so.
    if (error instanceof UpstreamError && error.fault === 'absent' && error.facts.code === undefined) return undefined;
    throw error;
  });
  const keys = answer === undefined ? [] : dataOf(answer, 'list').keys;
  return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : [];
}
