import { fromUtf8 } from '../lib/bytes.ts';
import { refMembers, refSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import { Refusal } from '../lib/refusal.ts';
import * as s from '../lib/schema/index.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../lib/strict-json.ts';
import { nameFaults, tlsFaults } from './address.ts';
import type { KindPlugIn } from './index.ts';
import type { KindDeps, ReadCredential } from './kind.ts';
import { rotateSchema } from './rotator.ts';
import { readFirst } from './secret/replicas.ts';

const schema = s.later(() =>
  s.strictObject({
    ...refMembers(),
    kind: s.literal('secret'),
    replicas: s.optional(s.later(() => s.array(refSchema).check(s.minLength(1), s.maxLength(4)))),
    stale: s.optional(s.literal('allow')),
    rotate: s.optional(s.later(() => rotateSchema())),
  }),
);

type SecretConfig = s.infer<typeof schema>;

/** A stored value, read in place; nothing dies when its lease ends. */
export const secret: KindPlugIn = {
  name: 'secret',
  about: 'A value kept in a store, or in replicas of it, handed over as it is',
  made: 'read',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  check: (config) => findFaults(config as SecretConfig),
  load: async () => ({ open: (config, deps) => open(config as SecretConfig, deps) }),
};

function open(config: SecretConfig, { read }: KindDeps): ReadCredential {
  const { kind: _, rotate: __, replicas = [], stale, ...first } = config;
  const readOne = readFirst([first, ...replicas], { read, stale: stale === 'allow' });
  return {
    made: 'read',
    async read({ deadline }) {
      const { value, version, store } = await readOne(deadline);
      const text = textOf(value.reveal(), store);
      const fields = fieldsOf(text);
      const data = { value: text, ...(fields === undefined ? {} : { fields }), version };
      return { data, fingerprinted: value, store, version };
    },
  };
}

function findFaults(config: SecretConfig): Fault[] {
  return [...rotateFaults(config), ...replicaFaults(config)];
}

/** A part of a value cannot be written back, and an older version is not what is rotated. */
function rotateFaults({ rotate, field, version }: SecretConfig): Fault[] {
  if (rotate === undefined) return [];
  const found = 'host' in rotate ? [...tlsFaults(rotate), ...(rotate.kind === 'mysql' ? nameFaults(rotate) : [])] : [];
  const faults = found.map((fault): Fault => ({ ...fault, path: ['rotate', ...fault.path] }));
  if (field !== undefined || version !== undefined)
    faults.push({
      path: ['rotate'],
      message: 'what is rotated is the whole current value: leave out field and version',
    });
  return faults;
}

function replicaFaults({ replicas, stale, store, name }: SecretConfig): Fault[] {
  if (replicas === undefined) {
    const message = 'stale says what a replica may give, and there is none';
    return stale === undefined ? [] : [{ path: ['stale'], message, hint: 'add replicas, or leave it out' }];
  }
  const seen = [{ store, name }];
  return replicas.flatMap((replica, at): Fault[] => {
    const twice = seen.some((one) => one.store === replica.store && one.name === replica.name);
    seen.push(replica);
    return twice ? [{ path: ['replicas', at], message: 'this secret of this store is listed already' }] : [];
  });
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
