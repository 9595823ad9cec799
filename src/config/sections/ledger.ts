import { ledgerDrivers } from '../../ledger/index.ts';
import type { Runtime } from '../../lib/platform.ts';
import { isJsonObject, type Json } from '../../lib/strict-json.ts';
import type { Config, Entry } from '../config.ts';
import { checkEntry, type Report } from './entries.ts';

/** Checks `ledger` and computes its origin where none is written: from `broker.url`, or the name in the pinned key. */
export function checkLedger(
  value: Json | undefined,
  url: string | undefined,
  runtime: Runtime,
  report: Report,
): Config['ledger'] | undefined {
  if (value === undefined) {
    report({
      path: ['ledger'],
      message: 'ledger is missing',
      hint: 'no record, no secret: without a ledger no broker starts',
    });
    return undefined;
  }
  // The rest of this entry may be fine; its seed is told by the cross checks in words of its own.
  const entry = checkEntry(withoutSeed(value), ['ledger'], ledgerDrivers, runtime, report);
  if (entry === undefined || url === undefined) return undefined;
  const origin = typeof entry.origin === 'string' ? entry.origin : defaultOrigin(entry, url);
  // The name in a pinned key is checked with the key.
  const checked = entry.kind === 'http' && entry.origin === undefined;
  if (!checked && !originPattern.test(origin)) {
    const message = 'an origin is 1 to 255 printable characters without spaces or "+"';
    report({ path: ['ledger', 'origin'], message, hint: 'such as ledger.example.com/log' });
  }
  return { ...entry, origin, public: entry.public === true };
}

// As C2SP signed notes want a key's name.
const originPattern = /^[\x21-\x2a\x2c-\x7e]{1,255}$/;

function defaultOrigin(entry: Entry, url: string): string {
  if (entry.kind === 'http') return String(entry.key).split('+', 1)[0] ?? '';
  return `${url.replace(/^https?:\/\//, '')}/ledger`;
}

function withoutSeed(value: Json): Json {
  if (!isJsonObject(value) || value.kind !== 'http') return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== 'seed'));
}
