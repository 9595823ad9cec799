import type { RotateConfig } from '../../credentials/rotator.ts';
import { rotators } from '../../credentials/rotators/index.ts';
import { pick } from '../../lib/catalog.ts';
import type { Runtime } from '../../lib/platform.ts';
import { stores as catalog } from '../../stores/index.ts';
import type { Entry } from '../config.ts';
import type { Report } from '../sections/entries.ts';

type Entries = Readonly<Record<string, Entry>>;

/** What is rotated must be rotated by one entry alone, here, in a store that takes it. */
export function checkRotation(stores: Entries, credentials: Entries, runtime: Runtime, report: Report): void {
  const users = new Map<string, string>();
  const values = new Map<string, string>();
  for (const [name, entry] of Object.entries(credentials)) {
    const { rotate, store, name: secret } = entry as { rotate?: RotateConfig; store?: string; name?: string };
    if (entry.kind !== 'secret' || rotate === undefined || store === undefined) continue;
    const fault = (message: string, member?: string) =>
      report({ path: ['credentials', name, 'rotate', ...(member === undefined ? [] : [member])], message });
    const { runtimes } = pick(rotators, rotate.kind);
    if (!runtimes.includes(runtime))
      fault(`rotating ${rotate.kind} runs on ${runtimes.join(' and ')}, not on ${runtime}`, 'kind');

    const unrotated = storeOf(stores[store])?.unrotated?.(stores[store]);
    const needsDates = rotate.kind !== 'generate' || rotate.every !== undefined;
    if (unrotated === 'all') fault(`the store ${store} takes no writes`);
    else if (unrotated === 'dated' && needsDates)
      fault(`the store ${store} does not tell since when a value is current`);

    const value = JSON.stringify([store, secret]);
    const first = values.get(value);
    if (first === undefined) values.set(value, name);
    else fault(`what ${first} rotates already`);
    for (const user of 'users' in rotate ? rotate.users : []) {
      const { kind, host, port } = rotate as Extract<RotateConfig, { host: string }>;
      const key = JSON.stringify([kind, host, port, user]);
      const other = users.get(key);
      if (other === undefined) users.set(key, name);
      // Its password would change while the other's stored value has it.
      else if (other !== first) fault(`${user} takes turns in ${other} already`, 'users');
    }
  }
}

const storeOf = (entry: Entry | undefined) => catalog.find(({ name }) => name === entry?.kind);
