import type { PlugIn } from '../lib/catalog.ts';
import { refSchema } from '../lib/common-schemas.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Ref } from '../lib/ref.ts';
import * as s from '../lib/schema/index.ts';
import { localFolder } from './local-folder.ts';
import { KeyError, type PrivateKey, parsePrivateKey } from './private-key.ts';
import type { ObjectKeys, Signer, SignerDeps, SignerModule } from './signer.ts';

const schema = s.later(() =>
  s
    .strictObject({
      kind: s.literal('local'),
      path: s.optional(s.string().check(s.minLength(1), s.maxLength(4096))),
      key: s.optional(refSchema),
    })
    .check(s.refine(({ path, key }) => path === undefined || key === undefined, 'give path or key, not both')),
);

type LocalSigner = s.infer<typeof schema>;

/** Keys in a folder, behind a REF, or made and kept by the Durable Object of the ledger. */
export const local: PlugIn<SignerModule> = {
  name: 'local',
  about: 'Keys in a folder, behind a reference, or inside the ledger’s Durable Object',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  load: async () => ({ open: (config, deps) => open(config as LocalSigner, deps) }),
};

function open({ key, path }: LocalSigner, deps: SignerDeps): Signer {
  if (key !== undefined) return behindRef(key, deps);
  if (path !== undefined) return inFolder(path, deps);
  if (deps.object === undefined)
    throw new KeyError('a local signer needs path or key, unless a Durable Object keeps it');
  return inObject(deps.object, deps.needs);
}

function behindRef(ref: Ref, { read }: SignerDeps): Signer {
  let known: { readonly text: string; readonly key: PrivateKey } | undefined;
  return {
    async keys(deadline) {
      const text = await readText(ref, read, deadline);
      if (known?.text !== text) known = { text, key: parsePrivateKey(text) };
      return [known.key];
    },
  };
}

function inFolder(path: string, deps: SignerDeps): Signer {
  const { folder } = deps;
  if (folder === undefined) throw new KeyError('there is no file system here to keep keys in');
  let opened: Signer | undefined;
  const signer = async (): Promise<Signer> => {
    const { openKeyFolder } = await localFolder.load();
    opened ??= openKeyFolder(folder, path, deps);
    return opened;
  };
  return {
    keys: async (deadline) => (await signer()).keys(deadline),
    rotate: async (deadline) => (await signer()).rotate?.(deadline),
    forget: async (kid) => (await signer()).forget?.(kid),
  };
}

function inObject(object: ObjectKeys, needs: SignerDeps['needs'] = []): Signer {
  let keys: readonly PrivateKey[] | undefined;
  return {
    async keys() {
      const algorithms = needs.includes('RS256') ? (['ES256', 'RS256'] as const) : (['ES256'] as const);
      keys ??= await Promise.all(algorithms.map(async (alg) => parsePrivateKey(await object.made(alg))));
      return keys;
    },
  };
}

async function readText(ref: Ref, read: SignerDeps['read'], deadline: Deadline): Promise<string> {
  const { value } = await read(ref, deadline);
  try {
    return value.revealText();
  } catch {
    throw new KeyError('the key is not text');
  }
}
