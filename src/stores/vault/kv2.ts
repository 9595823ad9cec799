import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { UpstreamError, type UpstreamFault } from '../../lib/upstream.ts';
import type { Vault } from '../../sessions/vault.ts';
import { type Store, StoreError } from '../store.ts';
import { checkName, dataOf, listNames, maxAnswerBytes } from './kv.ts';
import { readValue, writeValue } from './value.ts';

const maxValueBytes = 65_536;

/** KV version 2: versions are `1`, `2`, ...; a version that was deleted or destroyed is `disabled`. */
export function openKv2(vault: Vault, mount: string, now: () => number): Store {
  const values = (name: string) => `${mount}/data/${name}`;
  const about = (name: string) => `${mount}/metadata/${name}`;

  return {
    async get(name, version, deadline) {
      // To a Vault version 0 is the current one.
      if (version !== undefined && !/^[1-9]\d{0,9}$/.test(version)) throw new StoreError('absent');
      const path = values(checkName(name)) + (version === undefined ? '' : `?version=${version}`);
      const call = { method: 'GET', path, step: 'read', faultOf, maxBytes: maxAnswerBytes } as const;
      const { data, metadata } = dataOf(await vault.ask(call, deadline), 'read');
      const read = numberOf(metadata, 'version');
      const other = version !== undefined && version !== read;
      if (!isJsonObject(data) || read === undefined || other)
        throw new UpstreamError('damaged', { step: 'read', reason: 'unexpected_answer' });
      return { value: readValue(data), version: read };
    },
    async describe(name, deadline) {
      const call = { method: 'GET', path: about(checkName(name)), step: 'read', maxBytes: maxAnswerBytes } as const;
      const { current_version, versions } = dataOf(await vault.ask(call, deadline), 'read');
      const all = isJsonObject(versions) ? versions : {};
      const version = String(current_version);
      // Metadata can be there before the first value is.
      if (!Object.hasOwn(all, version)) throw new StoreError('absent');
      const createdAt = isJsonObject(all[version]) ? all[version].created_time : undefined;
      const kept = Object.values(all).filter((one) => isKept(one, now())).length;
      return { name, version, versions: kept, ...(typeof createdAt === 'string' && { createdAt }) };
    },
    list: (deadline) => listNames(vault, `${mount}/metadata`, deadline),
    async put(name, value, deadline) {
      const path = values(checkName(name, 'invalid'));
      const { length } = value.reveal();
      if (length === 0 || length > maxValueBytes) throw new StoreError('invalid');
      const body = { data: writeValue(value) };
      const version = numberOf(
        dataOf(await vault.ask({ method: 'POST', path, step: 'write', body }, deadline), 'write'),
        'version',
      );
      if (version === undefined) throw new UpstreamError('damaged', { step: 'write', reason: 'unexpected_answer' });
      return { version };
    },
    async remove(name, deadline) {
      const path = about(checkName(name));
      // A Vault says nothing of a secret that was not there to be removed.
      await vault.ask({ method: 'GET', path, step: 'remove', maxBytes: maxAnswerBytes }, deadline);
      await vault.ask({ method: 'DELETE', path, step: 'remove' }, deadline);
    },
  };
}

/** A deleted version is 404 with what is still known of it. */
function faultOf(status: number, { data }: JsonObject): UpstreamFault | undefined {
  return status === 404 && isJsonObject(data) && isJsonObject(data.metadata) ? 'disabled' : undefined;
}

function isKept(version: Json | undefined, now: number): boolean {
  if (!isJsonObject(version) || version.destroyed === true) return false;
  const { deletion_time: end } = version;
  // Where versions delete themselves after a time, it lies ahead.
  return typeof end !== 'string' || end === '' || Date.parse(end) > now;
}

function numberOf(object: Json | undefined, member: string): string | undefined {
  const number = isJsonObject(object) ? object[member] : undefined;
  return Number.isSafeInteger(number) ? String(number) : undefined;
}
