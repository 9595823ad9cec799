import * as z from 'zod/mini';
import { fromUtf8 } from '../lib/bytes.ts';
import { Refusal } from '../lib/refusal.ts';
import { refSchema } from '../lib/schema.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../lib/strict-json.ts';
import type { KindPlugIn } from './index.ts';
import type { KindDeps, ReadCredential } from './kind.ts';

const schema = z.extend(refSchema, { kind: z.literal('secret') });

/** A stored value, read in place; nothing dies when its lease ends. */
export const secret: KindPlugIn = {
  name: 'secret',
  about: 'A value kept in a store, handed over as it is',
  made: 'read',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  load: async () => ({ open: (config, deps) => open(config as z.infer<typeof schema>, deps) }),
};

function open({ kind: _, ...ref }: z.infer<typeof schema>, { read }: KindDeps): ReadCredential {
  return {
    made: 'read',
    async read({ deadline }) {
      const { value, version, store } = await read(ref, deadline);
      const text = textOf(value.reveal(), store);
      const fields = fieldsOf(text);
      const data = { value: text, ...(fields === undefined ? {} : { fields }), version };
      return { data, fingerprinted: value, store, version };
    },
  };
}

function textOf(bytes: Uint8Array, store: string): string {
  try {
    return fromUtf8(bytes);
  } catch {
    throw new Refusal('store_failed', 'not_text', { facts: { store, reason: 'not_text' } });
  }
}

/** The members of a stored JSON object; a value that only looks like one is a value and no more. */
function fieldsOf(text: string): JsonObject | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    const value = parseStrictJson(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
