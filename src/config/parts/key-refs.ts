import type { ReadRef, Ref } from '../../lib/ref.ts';
import { Refusal } from '../../lib/refusal.ts';
import type { Config } from '../config.ts';

/** A key that the start needs and no store gave; says what it is for and where it was looked for. `cause` knows why. */
export class UnreadKey extends Error {
  override readonly name = 'UnreadKey';
  constructor(
    message: string,
    override readonly cause: Refusal,
  ) {
    super(message, { cause });
  }
}

/** Reads REFs of a config's member. @throws UnreadKey in place of a Refusal */
export function readFor(member: string, read: ReadRef, stores: Config['stores']): ReadRef {
  return async (ref, deadline) => {
    try {
      return await read(ref, deadline);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw new UnreadKey(`${member}: ${said(ref, error.reason, stores[ref.store])}`, error);
    }
  };
}

const reasons: Readonly<Record<string, string>> = {
  denied: 'the store refused',
  disabled: 'it is disabled',
  damaged: 'what is stored fails its integrity check',
  slow: 'no answer in time',
  not_json: 'it is no JSON object, and a field of it is asked for',
  no_field: 'it has no such field, or the field is no text',
};

function said({ store, name, version }: Ref, reason: string, entry: Config['stores'][string] | undefined): string {
  const which = version === undefined ? name : `${name} of version ${version}`;
  if (reason !== 'absent') return `the secret ${which} in the store ${store}: ${reasons[reason] ?? 'no usable answer'}`;
  const variable = entry?.kind === 'env' ? ` (an env store reads it from ${String(entry.prefix)}${name})` : '';
  return `the store ${store} has no secret ${which}${variable}`;
}
