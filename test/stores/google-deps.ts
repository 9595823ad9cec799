import * as s from '../../src/lib/schema/index.ts';
import { googleSecretManager } from '../../src/stores/google-secret-manager.ts';
import { openStores, type StoreEntry, type StoresDeps } from '../../src/stores/open.ts';
import { makeAsserter } from '../fakes/federation.ts';
import { type FakeGoogleOptions, fakeAccount, fakeProvider, startFakeGoogle } from '../fakes/google.ts';
import { storesDeps } from './deps.ts';

/** `node` calls by Google's own client, `workerd` by the REST API. */
export type Way = 'node' | 'workerd';

export const audience = `https://iam.googleapis.com/${fakeProvider}`;
export const project = 'acme-core';

export const parse = (config: Record<string, unknown>): StoreEntry =>
  s.parse(googleSecretManager.schema, { kind: 'google-secret-manager', project, ...config }) as StoreEntry;

/** Hallpass and a Google that trusts it, with one store between them; `config` is the store's entry, changed. */
export async function makeGoogle(
  way: Way,
  config: Record<string, unknown> = {},
  { deps = {}, ...fakeOptions }: FakeGoogleOptions & { readonly deps?: Partial<StoresDeps> } = {},
) {
  const us = makeAsserter();
  const trust = [{ issuer: us.issuer, audience, subject: us.subject, keys: us.keys }];
  const google = await startFakeGoogle({ trust, reader: fakeAccount, ...fakeOptions });
  const { url } = google;
  const federated = { provider: fakeProvider, account: fakeAccount, sts: url, iam: url };
  const entry = parse({ ...federated, endpoint: url, ...config });
  const steps: string[] = [];
  const stores = openStores(
    { core: entry },
    storesDeps({
      runtime: way,
      assertFor: (_, terms) => us.assert(terms),
      step: (_, step) => void steps.push(step),
      ...deps,
    }),
  );
  return { us, google, stores, steps, store: await stores.open('core') };
}
