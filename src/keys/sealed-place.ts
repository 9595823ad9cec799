import type { Deadline } from '../lib/deadline.ts';
import type { Ref } from '../lib/ref.ts';
import { Secret } from '../lib/secret.ts';
import type { KmsSignerConfig } from './kms-signer.ts';
import { localFolder } from './local-folder.ts';
import { KeyError } from './private-key.ts';
import type { SignerDeps } from './signer.ts';

/** Where a sealed text lies. */
export interface SealedPlace {
  /** Whether a start may make what is missing. */
  readonly startWrites: boolean;
  /** undefined: nothing was made yet, and a start may make it. @throws Refusal, `absent` where a start may not */
  read(deadline: Deadline): Promise<string | undefined>;
  /** Puts it after `before`; gives what lies there then, which is another text when somebody was faster. */
  write(text: string, before: string | undefined, deadline: Deadline): Promise<string>;
}

export function placeOf({ wrapped = {} }: KmsSignerConfig, deps: SignerDeps): SealedPlace {
  if ('store' in wrapped) return behindRef(wrapped as Ref, deps);
  if ('path' in wrapped) return inFolder(wrapped.path, deps);
  const { object } = deps;
  if (object === undefined)
    throw new KeyError('wrapped keys need path, or store and name, unless a Durable Object keeps them');
  return {
    startWrites: true,
    read: async () => object.sealed(),
    async write(text, before) {
      const now = object.sealed();
      if (now !== before && now !== undefined) return now;
      await object.keep(text);
      return text;
    },
  };
}

function inFolder(path: string, { folder, random }: SignerDeps): SealedPlace {
  if (folder === undefined) throw new KeyError('there is no file system here to keep keys in');
  const opened = localFolder.load().then(({ openSealedFiles }) => openSealedFiles(folder, path, random));
  return {
    startWrites: true,
    read: async () => (await opened).read(),
    write: async (text, before) => (await opened).write(text, before),
  };
}

/** A start only reads it: `keys rotate` makes and replaces it, with the store's own rights. */
function behindRef(ref: Ref, { read, write }: SignerDeps): SealedPlace {
  async function readText(deadline: Deadline): Promise<string> {
    const { value } = await read(ref, deadline);
    try {
      return value.revealText();
    } catch {
      throw new KeyError('what lies there are no sealed keys');
    }
  }
  return {
    startWrites: false,
    read: readText,
    async write(text, _, deadline) {
      if (write === undefined) throw new KeyError('a start writes no sealed keys into a store');
      await write(ref, new Secret(text), deadline);
      return text;
    },
  };
}
