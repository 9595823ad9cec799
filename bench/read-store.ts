// A process of its own that reads one store for the first time, then again: what a function's first call waits for.

import { randomBytes } from 'node:crypto';
import { signJwt } from '../src/keys/jwt.ts';
import { parsePrivateKey } from '../src/keys/private-key.ts';
import { pick } from '../src/lib/catalog.ts';
import { deadlineIn } from '../src/lib/deadline.ts';
import { nodeIo } from '../src/lib/node-io.ts';
import * as s from '../src/lib/schema/index.ts';
import { newUlid } from '../src/lib/ulid.ts';
import { type AssertionRequest, writeAssertion } from '../src/sessions/assertion.ts';
import { stores as catalog } from '../src/stores/index.ts';
import { openStores, type StoreEntry } from '../src/stores/open.ts';

interface Asked {
  readonly entry: StoreEntry;
  readonly name: string;
  readonly issuer: string;
  readonly pem: string;
  readonly folder: string;
}

const { entry, name, issuer, pem, folder } = JSON.parse(process.env.READ_STORE ?? '') as Asked;
const key = parsePrivateKey(pem);
const random = (bytes: number) => new Uint8Array(randomBytes(bytes));
const stores = openStores(
  { it: s.parse(pick(catalog, entry.kind).schema, entry) as StoreEntry },
  {
    runtime: 'node',
    now: Date.now,
    random,
    env: process.env,
    log: () => {},
    storeMs: 10_000,
    folder,
    ...nodeIo(folder),
    assertFor: (store, terms) => {
      const iat = Math.floor(Date.now() / 1000);
      const request: AssertionRequest = {
        issuer,
        store,
        writer: issuer,
        session: newUlid(Date.now(), random),
        iat,
        alg: key.alg,
      };
      return signJwt(key, writeAssertion(terms, request).claims ?? {});
    },
  },
);

async function read(): Promise<number> {
  const from = performance.now();
  await (await stores.open('it')).get(name, undefined, deadlineIn(10_000, Date.now));
  return performance.now() - from;
}

const first = await read();
const again: number[] = [];
for (let n = 0; n < 20; n++) again.push(await read());
again.sort((a, b) => a - b);
console.log(JSON.stringify({ first, again: again[10] }));
process.exit(0);
