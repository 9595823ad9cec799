import { type DerivedSecrets, deriveSecrets } from '../../keys/derive.ts';
import { hkdfSha256 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { readKeyBytes } from '../../lib/key-bytes.ts';
import type { ReadRef } from '../../lib/ref.ts';
import type { Config } from '../config.ts';
import { readFor } from './key-refs.ts';

/** What comes from `broker.secret`: made with the newest, opened with any. */
export interface BrokerSecrets {
  newest(deadline: Deadline): Promise<DerivedSecrets>;
  /** 32 bytes for one purpose, from the newest. */
  derive(info: string, deadline: Deadline): Promise<Uint8Array>;
  /** Makes something of all of them, the newest first, when it is first asked for. */
  keep<T>(make: (all: readonly [DerivedSecrets, ...DerivedSecrets[]]) => T): (deadline: Deadline) => Promise<T>;
}

/**
 * Reads what the config names; where it names nothing, `kept` gives the one input when it is first needed.
 *
 * @throws UnreadKey, KeyError
 */
export async function openBrokerSecrets(
  config: Config,
  read: ReadRef,
  kept: (deadline: Deadline) => Promise<Uint8Array>,
  deadline: Deadline,
): Promise<BrokerSecrets> {
  const readOne = readFor('broker.secret', read, config.stores);
  const inputs: Uint8Array[] = [];
  for (const ref of config.broker.secret ?? [])
    inputs.push(await readKeyBytes(readOne, ref, 'broker.secret', deadline));
  // The values are kept, not promises: on workerd a promise dies with the request that began it.
  let all: readonly [DerivedSecrets, ...DerivedSecrets[]] | undefined;

  async function every(until: Deadline): Promise<readonly [DerivedSecrets, ...DerivedSecrets[]]> {
    if (inputs.length === 0) {
      const one = await kept(until);
      if (inputs.length === 0) inputs.push(one);
    }
    const [first, ...older] = inputs as [Uint8Array, ...Uint8Array[]];
    all ??= [deriveSecrets(first), ...older.map(deriveSecrets)];
    return all;
  }

  return {
    newest: async (until) => (await every(until))[0],
    async derive(info, until) {
      await every(until);
      return hkdfSha256(inputs[0] as Uint8Array, info, 32);
    },
    keep(make) {
      let made: { readonly value: ReturnType<typeof make> } | undefined;
      return async (until) => {
        made ??= { value: make(await every(until)) };
        return made.value;
      };
    },
  };
}
