import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { local } from '../../src/keys/local.ts';
import type { SignerDeps } from '../../src/keys/signer.ts';
import { describeSigner } from '../contracts/signer.ts';
import { depsWith, ecPem, objectWith, rsaPem, soon } from './fixtures.ts';

const folder = mkdtempSync(join(tmpdir(), 'hallpass-signer-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const keys = { EC: ecPem(), RSA: rsaPem() };
const jwk = JSON.stringify(createPrivateKey(keys.EC).export({ format: 'jwk' }));
const behindRef = (name: string) => ({ kind: 'local', key: { store: 'vars', name } });

const open = async (entry: object, deps: SignerDeps) => (await local.load()).open(entry, deps).keys(soon());

describeSigner('local', 'a folder', () => open({ kind: 'local', path: 'keys' }, depsWith({}, { folder })));
describeSigner('local', 'a P-256 PEM behind a REF', () => open(behindRef('EC'), depsWith(keys)));
describeSigner('local', 'an RSA PEM behind a REF', () => open(behindRef('RSA'), depsWith(keys)));
describeSigner('local', 'a JWK behind a REF', () => open(behindRef('JWK'), depsWith({ JWK: jwk })));
describeSigner('local', 'a key that is held for it', () =>
  open({ kind: 'local' }, depsWith({}, { object: objectWith(keys.EC) })),
);
