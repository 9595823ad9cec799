import { signers } from '../../keys/index.ts';
import type { Runtime } from '../../lib/platform.ts';
import { isJsonObject, type Json } from '../../lib/strict-json.ts';
import { parseDuration } from '../../lib/time.ts';
import { isLoopbackHost } from '../../lib/url.ts';
import type { Config, Entry } from '../config.ts';
import { checkEntry, checkShape, type Report } from './entries.ts';
import { brokerSchema } from './sections.ts';

/** Checks `broker`, each signer by its own kind. */
export function checkBroker(
  value: Json | undefined,
  ledger: Json | undefined,
  runtime: Runtime,
  report: Report,
): Config['broker'] | undefined {
  if (value === undefined) report({ path: ['broker'], message: 'broker is missing', hint: 'it needs url and signer' });
  const broker = value === undefined ? undefined : checkShape(brokerSchema, value, ['broker'], report);
  const written = isJsonObject(value) ? value.signer : undefined;
  const signer: (Entry | undefined)[] = [];
  if (isJsonObject(value) && written === undefined && provesByPlatform(ledger)) {
    // Nothing here could be derived from a key of our own.
    if (value.secret === undefined)
      report({ path: ['broker', 'secret'], message: 'without a signer broker.secret is required', hint: secretHint });
  } else if (isJsonObject(value) && written === undefined) {
    report({
      path: ['broker', 'signer'],
      message: 'signer is missing',
      hint: 'such as signer: { kind: local, path: ./keys }',
    });
  } else if (Array.isArray(written)) {
    if (written.length === 0) report({ path: ['broker', 'signer'], message: 'the list is empty' });
    signer.push(...written.map((entry, at) => checkEntry(entry, ['broker', 'signer', at], signers, runtime, report)));
  } else if (written !== undefined) {
    signer.push(checkEntry(written, ['broker', 'signer'], signers, runtime, report));
  }
  if (broker === undefined) return undefined;
  const { url, audience = url, secret, explain, announce } = broker;
  const announceMs = (parseDuration(announce) ?? 0) * 1000;
  if (announceMs < leastAnnounceMs && !isLoopbackHost(new URL(url).hostname)) {
    const message = 'a new key is announced for 10m or more before it signs: others keep the old set for so long';
    report({ path: ['broker', 'announce'], message, hint: 'shorter only where broker.url is on loopback' });
  }
  return {
    url,
    audience,
    signer: signer.filter((entry) => entry !== undefined),
    announceMs,
    ...(secret === undefined ? {} : { secret: Array.isArray(secret) ? secret : [secret] }),
    explain,
  };
}

const leastAnnounceMs = 10 * 60_000;
const secretHint = 'a REF to 32 bytes, the same for every broker of the ledger';

/** A broker that shows its platform's own token to the ledger needs no key at all. */
const provesByPlatform = (ledger: Json | undefined): boolean =>
  isJsonObject(ledger) && ledger.kind === 'http' && ledger.identity !== undefined;
