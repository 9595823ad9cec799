import { isJsonObject } from '../../lib/strict-json.ts';
import { stores as catalog } from '../../stores/index.ts';
import type { Entry } from '../config.ts';
import type { Report } from '../sections/entries.ts';
import type { Written } from './cross-checks.ts';

/** Replicas are held to the version of the first store: where a store has none, nothing could be held to it. */
export function checkReplicas({ credentials }: Written, stores: Readonly<Record<string, Entry>>, report: Report): void {
  for (const [name, entry] of Object.entries(credentials)) {
    if (!isJsonObject(entry) || !Array.isArray(entry.replicas) || entry.stale === 'allow') continue;
    const refs = [entry, ...entry.replicas.filter(isJsonObject)];
    const bare = refs.map(({ store }) => String(store)).find((store) => isVersionless(stores[store]));
    if (bare === undefined) continue;
    const message = `the store ${bare} has no versions, so a replica could not be held to one`;
    report({ path: ['credentials', name, 'replicas'], message, hint: 'say stale: allow, if any value is good enough' });
  }
}

const isVersionless = (entry: Entry | undefined): boolean =>
  entry !== undefined && catalog.find(({ name }) => name === entry.kind)?.versionless?.(entry) === true;
