import { signers } from '../../keys/index.ts';
import { maxKeys } from '../../keys/rotation-times.ts';
import type { Fault } from '../../lib/fault.ts';
import type { Runtime } from '../../lib/platform.ts';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import type { Report } from '../sections/entries.ts';
import type { Written } from './cross-checks.ts';

/** Where a signer's keys are kept must be there on this runtime and beside this ledger; what nothing is derived from must be given. */
export function checkSigners({ broker, ledger }: Written, runtime: Runtime, report: Report): void {
  const written = broker.signer;
  if (written === undefined) return;
  const entries = Array.isArray(written) ? written : [written];
  if (entries.length > maxKeys)
    report({ path: ['broker', 'signer'], message: `at most ${maxKeys} keys sign and are published, in all` });
  if (entries.length > 1 && broker.secret === undefined) {
    const message =
      'without broker.secret what marks handed-over values comes from the first signer with a key at hand';
    const hint = 'a new one there would change it unseen: broker.secret is a REF to 32 bytes';
    report({ path: ['broker', 'signer'], warning: true, message, hint });
  }
  for (const [index, entry] of entries.entries()) {
    if (!isJsonObject(entry)) continue;
    const path = Array.isArray(written) ? ['broker', 'signer', index] : ['broker', 'signer'];
    if (entry.kind === 'local') checkPlace(entry, path, ledger, runtime, report);
    else if (signers.some(({ name }) => name === entry.kind))
      checkKms(entry, path, { broker, ledger }, runtime, report);
  }
}

function checkPlace(
  entry: JsonObject,
  path: Fault['path'],
  ledger: JsonObject,
  runtime: Runtime,
  report: Report,
): void {
  if (entry.path !== undefined && runtime === 'workerd') {
    const hint = 'refer to a key with key: { store, name }, or leave it to a durable-object ledger';
    report({ path: [...path, 'path'], message: 'keys in a folder work on node and lambda, not on workerd', hint });
  }
  if (entry.path !== undefined || entry.key !== undefined || ledger.kind === 'durable-object') return;
  const message = 'a local signer without path or key lives in a durable-object ledger';
  report({ path, message, hint: 'add path: ./keys' });
}

function checkKms(
  entry: JsonObject,
  path: Fault['path'],
  { broker, ledger }: Pick<Written, 'broker' | 'ledger'>,
  runtime: Runtime,
  report: Report,
): void {
  const { wrapped } = entry;
  if (wrapped === undefined) {
    checkDirect(path, broker, ledger, report);
    return;
  }
  if (!isJsonObject(wrapped)) return;
  if (wrapped.path !== undefined && runtime === 'workerd') {
    const hint = 'wrapped: {} beside a durable-object ledger, or a REF';
    report({
      path: [...path, 'wrapped', 'path'],
      message: 'a folder is there on node and lambda, not on workerd',
      hint,
    });
  }
  if (Object.keys(wrapped).length > 0 || ledger.kind === 'durable-object') return;
  const message = 'only a durable-object ledger keeps wrapped keys by itself';
  report({ path: [...path, 'wrapped'], message, hint: 'such as wrapped: { path: ./keys }, or a REF' });
}

/** A KMS that signs shows nobody its key: nothing can be derived from it. */
function checkDirect(path: Fault['path'], broker: JsonObject, ledger: JsonObject, report: Report): void {
  const hint = 'a REF to 32 bytes; or wrapped: { path: ./keys }, whose keys all else is derived from';
  if (broker.secret === undefined)
    report({ path, message: 'beside a signer that keeps its key, broker.secret is required', hint });
  if (ledger.kind !== 'http' && ledger.seed === undefined)
    report({ path, message: 'beside a signer that keeps its key, ledger.seed is required', hint });
  if (ledger.kind !== 'http') return;
  const message = 'each instance of this broker asks the KMS about twice a minute to prove itself to the ledger';
  report({ path, warning: true, message, hint: 'the platform’s own token needs no key: ledger.identity' });
}
