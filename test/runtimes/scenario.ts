import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { compactDecrypt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Receipt } from '../../src/ledger/ledger.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import { testIssuer } from '../support/issuer.ts';

export const audience = 'https://pass.test';
export const stripeValue = 'correct-horse-not-a-real-secret';
/** What every runtime is given besides its config. */
export const variables = { HALLPASS_SECRET_STRIPE: stripeValue };

export const issuer = testIssuer('https://issuer.test', audience);

const partnerApi = 'https://api.partner.example/v1';

/** One config for all runtimes; `parts` says what differs: the ledger and who signs. */
export const configFor = (parts: { ledger: object; signer: object; more?: object }): object => ({
  broker: { url: audience, signer: parts.signer },
  ledger: parts.ledger,
  issuers: { ci: { issuer: issuer.url, jwks: issuer.jwks } },
  stores: { here: { kind: 'env', prefix: 'HALLPASS_SECRET_' } },
  credentials: {
    'stripe-key': { kind: 'secret', store: 'here', name: 'STRIPE' },
    partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m', resource: partnerApi },
    other: { kind: 'jwt', audience: 'https://other.example', ttl: '5m' },
  },
  roles: { checkout: ['stripe-key', 'partner'], auditor: { audit: 'read' } },
  grants: [
    { name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '10m' },
    { name: 'audit', identity: { issuer: 'ci', subject: 'svc:auditor' }, may: ['auditor'] },
  ],
  ...parts.more,
});

export type Send = (path: string, init?: RequestInit) => Promise<Response>;

/** A Hallpass that runs somewhere. */
export interface Running {
  readonly send: Send;
  /** Where auditors ask; the same, unless its ledger is elsewhere. */
  readonly ledger: Send;
  /** Ends what runs and starts it again over the same log. */
  restart(): Promise<void>;
  end(): Promise<void>;
}

interface Issued {
  readonly id: string;
  readonly data: Record<string, string>;
  readonly lease: { readonly ttl: number; readonly revocable: boolean };
  readonly receipt: Receipt;
}

/** What a Hallpass does, wherever it runs. */
export function scenario(runtime: string, start: () => Promise<Running>): void {
  describe(`on ${runtime}`, () => {
    let running: Running;
    beforeAll(async () => {
      running = await start();
    }, 60_000);
    afterAll(() => running?.end());

    const as = (subject: string) => ({ authorization: `Bearer ${issuer.token({ sub: subject })}` });
    const post = (path: string, subject = 'svc:checkout') =>
      running.send(path, { method: 'POST', headers: as(subject) });
    const key = async () => (await (await running.send('/v1/log/key')).text()).trim();
    async function issue(name: string): Promise<Issued> {
      const response = await post(`/v1/credentials/${name}`);
      const text = await response.text();
      expect(response.status, text).toBe(200);
      expect(response.headers.get('cache-control')).toBe('no-store');
      return JSON.parse(text);
    }
    async function problem(response: Response): Promise<[number, string]> {
      return [response.status, ((await response.json()) as { code: string }).code];
    }
    async function issuances(): Promise<{ index: number; record: { id: string; type: string } }[]> {
      const response = await running.ledger('/v1/issuances?type=*', { headers: as('svc:auditor') });
      expect(response.status).toBe(200);
      return ((await response.json()) as { items: { index: number; record: { id: string; type: string } }[] }).items;
    }

    test('is healthy and ready', async () => {
      expect((await running.send('/healthz')).status).toBe(200);
      expect((await running.send('/readyz')).status).toBe(200);
    });

    test('explains a decision', async () => {
      const response = await post('/v1/explain/stripe-key');
      expect(await response.json()).toMatchObject({ decision: 'allow', grant: 'checkout' });
    });

    test('issues a stored secret with a receipt that verifies', async () => {
      const { data, lease, receipt } = await issue('stripe-key');
      expect(data.value).toBe(stripeValue);
      expect(lease.ttl).toBe(600);
      verifyReceipt(receipt, await key());
      expect(JSON.parse(receipt.record)).toMatchObject({ type: 'issuance', credential: 'stripe-key' });
    });

    test('issues a signed token, recorded before it was signed, that its published key verifies', async () => {
      const { id, data, receipt } = await issue('partner');
      verifyReceipt(receipt, await key());
      const [header, payload, signature] = (data.token as string).split('.') as [string, string, string];
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
      expect(claims).toMatchObject({ aud: 'https://api.partner.example', sub: 'ci:svc%3Acheckout', jti: id });
      const published = await (await running.ledger('/workloads/.well-known/jwks.json')).json();
      const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString());
      const jwk = (published as { keys: { kid: string }[] }).keys.find((one) => one.kid === kid);
      expect(
        verify(
          'sha256',
          Buffer.from(`${header}.${payload}`),
          { key: createPublicKey({ key: jwk as never, format: 'jwk' }), dsaEncoding: 'ieee-p1363' },
          Buffer.from(signature, 'base64url'),
        ),
      ).toBe(true);
    });

    test('seals a credential to the key of the request', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const response = await running.send('/v1/credentials/stripe-key', {
        method: 'POST',
        headers: { ...as('svc:checkout'), 'content-type': 'application/json' },
        body: JSON.stringify({ sealTo: publicKey.export({ format: 'jwk' }) }),
      });
      const text = await response.text();
      expect(response.status, text).toBe(200);
      expect(text).not.toContain(stripeValue);
      const { sealed, receipt } = JSON.parse(text) as { sealed: string; receipt: Receipt };
      verifyReceipt(receipt, await key());
      const { plaintext } = await compactDecrypt(sealed, privateKey);
      expect(JSON.parse(new TextDecoder().decode(plaintext)).value).toBe(stripeValue);
    });

    test('exchanges a workload token for a signed one, and denies the exchange of what is not granted', async () => {
      const exchange = (target: Record<string, string>) =>
        running.send('/oauth/token', {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({
            grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
            subject_token: issuer.token(),
            subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
            ...target,
          }).toString(),
        });
      const response = await exchange({ resource: partnerApi });
      const text = await response.text();
      expect(response.status, text).toBe(200);
      const answer = JSON.parse(text) as { access_token: string; hallpass_id: string; hallpass_receipt: Receipt };
      verifyReceipt(answer.hallpass_receipt, await key());
      const claims = JSON.parse(Buffer.from(answer.access_token.split('.')[1] ?? '', 'base64url').toString());
      expect(claims).toMatchObject({ aud: 'https://api.partner.example', jti: answer.hallpass_id });
      for (const audience of ['other', 'nothing', 'stripe-key']) {
        const refused = await exchange({ audience });
        expect([refused.status, ((await refused.json()) as { error: string }).error]).toEqual([400, 'invalid_target']);
      }
    });

    test('denies what no grant gives and what does not exist alike', async () => {
      expect(await problem(await post('/v1/credentials/other'))).toEqual([403, 'denied']);
      expect(await problem(await post('/v1/credentials/nothing'))).toEqual([403, 'denied']);
      expect(await problem(await post('/v1/credentials/stripe-key', 'svc:stranger'))).toEqual([403, 'denied']);
    });

    test('refuses a token it cannot verify, and none at all', async () => {
      const forged = `${issuer.token().slice(0, -8)}AAAAAAAA`;
      const headers = { authorization: `Bearer ${forged}` };
      expect(await problem(await running.send('/v1/credentials/stripe-key', { method: 'POST', headers }))).toEqual([
        401,
        'token_invalid',
      ]);
      expect(await problem(await running.send('/v1/credentials/stripe-key', { method: 'POST' }))).toEqual([
        401,
        'token_missing',
      ]);
    });

    test('takes a lease back from the same identity only', async () => {
      const { id } = await issue('partner');
      const revoke = (subject: string) => running.send(`/v1/leases/${id}`, { method: 'DELETE', headers: as(subject) });
      expect(await problem(await revoke('svc:auditor'))).toEqual([404, 'not_found']);
      expect((await revoke('svc:checkout')).status).toBe(204);
      expect((await issuances())[0]?.record.type).toBe('revocation');
    });

    test('shows auditors what was issued, and nobody else', async () => {
      const { id } = await issue('stripe-key');
      expect((await issuances()).map(({ record }) => record.id)).toContain(id);
      const response = await running.ledger('/v1/issuances', { headers: as('svc:checkout') });
      expect(await problem(response)).toEqual([403, 'denied']);
    });

    test('keeps its log and its keys over a restart', async () => {
      const before = await issue('stripe-key');
      const [vkey, published] = [await key(), await (await running.ledger('/workloads/.well-known/jwks.json')).text()];
      await running.restart();
      const after = await issue('stripe-key');
      expect(after.receipt.index).toBeGreaterThan(before.receipt.index);
      verifyReceipt(after.receipt, vkey);
      expect(await key()).toBe(vkey);
      expect(await (await running.ledger('/workloads/.well-known/jwks.json')).text()).toBe(published);
    });
  });
}
