import { refsIn } from '../config/checks/cross-checks.ts';
import type { Config } from '../config/config.ts';
import { signerGuide } from '../keys/guides.ts';
import { pick } from '../lib/catalog.ts';
import type { GuideStep } from '../lib/guide.ts';
import type { Json } from '../lib/strict-json.ts';
import { nearest } from '../lib/suggest.ts';
import { subjectOf } from '../sessions/assertion.ts';
import type { GuideFacts } from '../stores/guide.ts';
import { guides } from '../stores/guides.ts';
import { stores } from '../stores/index.ts';

/** A store that logs in as what the platform runs Hallpass as: nobody there is told about us. */
export interface PlatformFacts extends Pick<GuideFacts, 'store' | 'names'> {
  /** What to change so that it logs in by an assertion. */
  readonly instead: string;
}

export interface FoundGuide {
  readonly facts: GuideFacts | PlatformFacts;
  readonly steps: readonly GuideStep[];
  /** What a KMS must let us do with its key, where one signs and is this deployment's own. */
  readonly signer: readonly GuideStep[];
}

/** What to set up for one store of a config, or in one line why there is nothing. */
export function guideFor(config: Config, store: string): FoundGuide | string {
  const entry = Object.hasOwn(config.stores, store) ? config.stores[store] : undefined;
  if (entry === undefined) {
    if (Object.hasOwn(config.credentials, store)) return ofCredential(config, store);
    const near = nearest(store, Object.keys(config.stores));
    return `the config has no store ${JSON.stringify(store)}${near === undefined ? '' : `; did you mean ${near}?`}`;
  }
  const found = Object.hasOwn(guides, entry.kind) ? guides[entry.kind] : undefined;
  if (found === undefined) return `nobody is told about Hallpass for ${store}: ${entry.kind} takes no assertion`;
  const names = namesIn(config, store);
  const terms = pick(stores, entry.kind).assertion?.(entry);
  if (terms === undefined) {
    const { instead, steps } = found.platform;
    return { facts: { store, names, instead }, steps: steps(entry, names), signer: [] };
  }
  const elsewhere = config.ledger.kind === 'http';
  const issuer = elsewhere ? String(config.ledger.url) : config.broker.url;
  const facts: GuideFacts = {
    store,
    issuer,
    jwksUri: `${issuer}/.well-known/jwks.json`,
    audience: terms.audience,
    subject: subjectOf(config.broker.url),
    algorithm: terms.algorithms.join(' or '),
    names,
  };
  // A ledger elsewhere signs with keys of its own config.
  const signers = elsewhere ? [] : config.broker.signer;
  return { facts, steps: found.guide(entry, facts), signer: signers.flatMap((signer) => signerGuide(signer)) };
}

/** Nobody is told of a credential: where it lies in a store, of that. */
function ofCredential({ credentials, stores }: Config, name: string): string {
  const { store } = credentials[name] as { readonly store?: unknown };
  const there = Object.keys(stores).join(', ');
  const which = typeof store === 'string' ? `; its store is ${store}` : there === '' ? '' : `; the stores are ${there}`;
  return `${JSON.stringify(name)} is a credential, and this is shown for a store${which}`;
}

/** The secrets of one store that the config refers to, each once. */
function namesIn({ broker, ledger, issuers, stores, credentials }: Config, store: string): string[] {
  const refs = refsIn({ broker, ledger, issuers, stores, credentials } as unknown as Json, []);
  const names = refs.flatMap((ref) => (ref.store === store && ref.name !== undefined ? [ref.name] : []));
  return [...new Set(names)];
}
