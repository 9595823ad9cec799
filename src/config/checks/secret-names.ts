import { stores as catalog } from '../../stores/index.ts';
import type { Entry } from '../config.ts';
import type { Report } from '../sections/entries.ts';
import { refsIn, type Written } from './cross-checks.ts';

/** A REF whose name its store could never have would be found out only by whoever asks for it. */
export function checkSecretNames(written: Written, stores: Readonly<Record<string, Entry>>, report: Report): void {
  const { broker, ledger, issuers, stores: entries, credentials } = written;
  for (const { path, store, name = '' } of refsIn({ broker, ledger, issuers, stores: entries, credentials }, [])) {
    const entry = Object.hasOwn(stores, store) ? stores[store] : undefined;
    if (entry === undefined || name === '') continue;
    const fault = catalog.find((plugIn) => plugIn.name === entry.kind)?.nameFault?.(name, entry);
    if (fault !== undefined) report({ ...fault, path: [...path, 'name'] });
  }
}
