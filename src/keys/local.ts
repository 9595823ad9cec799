import * as z from 'zod/mini';
import type { PlugIn } from '../lib/catalog.ts';
import type { Deadline } from '../lib/deadline.ts';
import { refSchema } from '../lib/schema.ts';
import { localFolder } from './local-folder.ts';
import { KeyError, type PrivateKey, parsePrivateKey } from './private-key.ts';
import type { SignerDeps, SignerModule } from './signer.ts';

const schema = z
  .strictObject({
    kind: z.literal('local'),
    path: z.optional(z.string().check(z.minLength(1), z.maxLength(4096))),
    key: z.optional(refSchema),
  })
  .check(z.refine(({ path, key }) => path === undefined || key === undefined, 'give path or key, not both'));

type LocalSigner = z.infer<typeof schema>;

/** Keys in a folder, behind a REF, or made and kept by the Durable Object of the ledger. */
export const local: PlugIn<SignerModule> = {
  name: 'local',
  about: 'Keys in a folder, behind a reference, or inside the ledger’s Durable Object',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  load: async () => ({ open: (config, deps, deadline) => open(config as LocalSigner, deps, deadline) }),
};

async function open(config: LocalSigner, deps: SignerDeps, deadline: Deadline): Promise<readonly PrivateKey[]> {
  if (config.key !== undefined) return [await readKey(await deps.read(config.key, deadline))];
  if (config.path !== undefined) {
    if (deps.folder === undefined) throw new KeyError('there is no file system here to keep keys in');
    const { openKeyFolder } = await localFolder.load();
    return openKeyFolder(deps.folder, config.path, deps.random);
  }
  if (deps.held === undefined) throw new KeyError('a local signer needs path or key, unless a Durable Object keeps it');
  return [parsePrivateKey(deps.held)];
}

async function readKey({ value }: Awaited<ReturnType<SignerDeps['read']>>): Promise<PrivateKey> {
  let text: string;
  try {
    text = value.revealText();
  } catch {
    throw new KeyError('the key is not text');
  }
  return parsePrivateKey(text);
}
