import type { Deadline } from '../../lib/deadline.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import type { Vault } from '../../sessions/vault.ts';
import { type Store, StoreError } from '../store.ts';
import { checkName, dataOf, listNames, maxAnswerBytes } from './kv.ts';
import { readValue } from './value.ts';

/** KV version 1 knows no versions: this names whatever is there. */
const version = 'kv1';

/** Read-only: a write there would leave no version that a record could name. */
export function openKv1(vault: Vault, mount: string): Store {
  async function read(name: string, deadline: Deadline): Promise<JsonObject> {
    const path = `${mount}/${checkName(name)}`;
    const answer = await vault.ask({ method: 'GET', path, step: 'read', maxBytes: maxAnswerBytes }, deadline);
    return dataOf(answer, 'read');
  }
  const refuse = async () => {
    throw new StoreError('read_only', { reason: 'kv1' });
  };

  return {
    async get(name, wanted, deadline) {
      if (wanted !== undefined && wanted !== version) throw new StoreError('absent');
      return { value: readValue(await read(name, deadline)), version };
    },
    async describe(name, deadline) {
      await read(name, deadline);
      return { name, version, versions: 1 };
    },
    list: (deadline) => listNames(vault, mount, deadline),
    put: refuse,
    remove: refuse,
  };
}
