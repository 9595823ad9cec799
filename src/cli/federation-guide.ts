import type { Config } from '../config/config.ts';
import { signerGuide } from '../keys/guides.ts';
import { pick } from '../lib/catalog.ts';
import type { GuideStep } from '../lib/guide.ts';
import { nearest } from '../lib/suggest.ts';
import { subjectOf } from '../sessions/assertion.ts';
import type { GuideFacts } from '../stores/guide.ts';
import { guides } from '../stores/guides.ts';
import { stores } from '../stores/index.ts';

export interface FoundGuide {
  readonly facts: GuideFacts;
  readonly steps: readonly GuideStep[];
  /** What a KMS must let us do with its key, where one signs and is this deployment's own. */
  readonly signer: readonly GuideStep[];
}

/** What to set up for one store of a config, or in one line why there is nothing. */
export function guideFor(config: Config, store: string): FoundGuide | string {
  const entry = Object.hasOwn(config.stores, store) ? config.stores[store] : undefined;
  if (entry === undefined) {
    const near = nearest(store, Object.keys(config.stores));
    return `the config has no store ${JSON.stringify(store)}${near === undefined ? '' : `; did you mean ${near}?`}`;
  }
  const terms = pick(stores, entry.kind).assertion?.(entry);
  const guide = Object.hasOwn(guides, entry.kind) ? guides[entry.kind] : undefined;
  if (terms === undefined || guide === undefined)
    return `nobody is told about Hallpass for ${store}: ${entry.kind} takes no assertion as it is configured here`;
  const elsewhere = config.ledger.kind === 'http';
  const issuer = elsewhere ? String(config.ledger.url) : config.broker.url;
  const [algorithm = 'ES256'] = terms.algorithms;
  const facts: GuideFacts = {
    store,
    issuer,
    jwksUri: `${issuer}/.well-known/jwks.json`,
    audience: terms.audience,
    subject: subjectOf(config.broker.url),
    algorithm,
  };
  // A ledger elsewhere signs with keys of its own config.
  const signers = elsewhere ? [] : config.broker.signer;
  return { facts, steps: guide(entry, facts), signer: signers.flatMap((signer) => signerGuide(signer)) };
}
