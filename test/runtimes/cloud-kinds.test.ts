import { afterAll, describe, expect, it } from 'vitest';
import type { Receipt } from '../../src/ledger/ledger.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import type { Runtime } from '../../src/lib/platform.ts';
import { startAws } from '../fakes/aws.ts';
import { refusal } from '../fakes/aws-sts.ts';
import { client, startAzure, tenant } from '../fakes/azure.ts';
import { fakeAccount, fakeProvider, startFakeGoogle } from '../fakes/google.ts';
import { temporaryFolder } from '../support/server.ts';
import { issuer } from './scenario.ts';
import { freeAddress, type Hallpass, keysStore, type Setup, startHallpass } from './store-cell.ts';

const role = 'arn:aws:iam::123456789012:role/orders';
const login = 'arn:aws:iam::123456789012:role/db-login';
const names = ['bucket', 'database', 'topic', 'graph'];
const closing: (() => Promise<void>)[] = [];
afterAll(() => Promise.all(closing.map((close) => close())));

/** AWS, Google and Entra, each of which trusts one Hallpass by the keys it publishes; and credentials of theirs. */
async function clouds(by: { readonly issuer: string; readonly subject: string }) {
  const trust = { ...by, audience: 'sts.amazonaws.com' };
  const aws = await startAws([
    { role, ...trust, needsSource: true },
    { role: login, ...trust },
  ]);
  const google = await startFakeGoogle({ trust: [{ ...by, audience: `https://iam.googleapis.com/${fakeProvider}` }] });
  const azure = await startAzure({ trust: [{ ...by, audience: 'api://AzureADTokenExchange' }] });
  closing.push(aws.close, google.close, azure.stop);
  const region = 'eu-west-1';
  const pubsub = ['https://www.googleapis.com/auth/pubsub'];
  const federated = { provider: fakeProvider, sts: google.url, iam: google.url };
  const database = { engine: 'postgres', host: 'orders.rds.example', database: 'orders', username: 'app' };
  const credentials = {
    bucket: { kind: 'aws-role', role, region, sts: aws.url, ttl: '1h' },
    database: { kind: 'aws-rds-iam', role: login, region, sts: aws.url, ...database },
    topic: { kind: 'google-token', account: fakeAccount, scopes: pubsub, ...federated },
    graph: {
      kind: 'azure-token',
      tenant,
      client,
      scope: 'https://graph.microsoft.com/.default',
      authority: azure.url,
      resource: 'https://graph.microsoft.com',
    },
  };
  return { aws, google, azure, credentials };
}

const setupOf = (credentials: object): Setup => ({
  configOf: (url, { signer, ledger }, more = {}) => ({
    broker: { url, audience: 'https://pass.test', signer },
    ledger,
    issuers: { ci: { issuer: issuer.url, jwks: issuer.jwks }, ...more.issuers },
    stores: { keys: keysStore },
    credentials,
    roles: { checkout: names, auditor: { audit: 'read' }, ...more.roles },
    grants: [
      { name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '10m' },
      { name: 'audit', identity: { issuer: 'ci', subject: 'svc:auditor' }, may: ['auditor'] },
      ...(more.grants ?? []),
    ],
    limits: { store: '20s', ledger: '10s', request: '40s' },
  }),
  variables: {},
  mint: names,
});

interface Issued {
  readonly id: string;
  readonly data: Readonly<Record<string, string>>;
  readonly lease: { readonly ttl: number; readonly revocable: boolean };
  readonly receipt: Receipt & { readonly record: string };
}

interface RecordOf {
  readonly credential?: string;
  readonly issuance?: string;
  readonly audience?: string;
}

const as = (sub: string) => ({ authorization: `Bearer ${issuer.token({ sub })}` });

async function issue({ send }: Hallpass, name: string): Promise<Issued> {
  const response = await send(`/v1/credentials/${name}`, { method: 'POST', headers: as('svc:checkout') });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${name}: ${response.status} ${text}`);
  return JSON.parse(text) as Issued;
}

async function exchange({ send }: Hallpass, resource: string): Promise<Record<string, unknown>> {
  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: issuer.token({ sub: 'svc:checkout' }),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    resource,
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const response = await send('/oauth/token', { method: 'POST', headers, body: body.toString() });
  return (await response.json()) as Record<string, unknown>;
}

async function sessionsIn({ ledger }: Hallpass): Promise<readonly RecordOf[]> {
  const response = await ledger('/v1/issuances?type=session', { headers: as('svc:auditor') });
  const { items } = (await response.json()) as { items: readonly { readonly record: RecordOf }[] };
  return items.map(({ record }) => record);
}

describe.for<Runtime>(['node', 'workerd', 'lambda'])('the credentials of clouds on %s', (runtime) => {
  it('come with a receipt, and each cloud knows which issuance it was asked for', async () => {
    const { folder, remove } = temporaryFolder();
    const { url, port } = await freeAddress();
    const broker = runtime === 'lambda' ? 'https://pass.test' : url;
    const { aws, google, azure, credentials } = await clouds({
      issuer: url,
      subject: `broker:${new URL(broker).host}`,
    });
    const hallpass = await startHallpass(runtime, { url, port, broker, folder, setup: setupOf(credentials) });
    try {
      const [bucket, database, topic, graph] = (await Promise.all(names.map((name) => issue(hallpass, name)))) as [
        Issued,
        Issued,
        Issued,
        Issued,
      ];
      const key = (await (await hallpass.ledger('/v1/log/key')).text()).trim();
      for (const { receipt, lease } of [bucket, database, topic, graph]) {
        verifyReceipt(receipt, key);
        expect(lease).toMatchObject({ ttl: 600, revocable: false });
      }

      const assumed = aws.sts.assumed.find((one) => one.role === role);
      const hp = `hp_${bucket.id}`;
      expect(assumed).toMatchObject({ name: hp, source: hp, seconds: 900, accessKeyId: bucket.data.accessKeyId });
      expect(assumed?.tags).toEqual({ hallpass: bucket.id, 'hallpass-credential': 'bucket' });
      expect(JSON.parse(bucket.receipt.record).lease.account).toBe(hp);
      expect(database.data.password).toContain('orders.rds.example:5432/?Action=connect&DBUser=app');
      expect(google.generated).toMatchObject([{ account: fakeAccount, reason: `hp_${topic.id}` }]);
      // What is left of the lease once it has logged in.
      expect([600, 599, 598, 597, 596, 595]).toContain(google.generated[0]?.seconds);
      expect(google.tokens.holder(`Bearer ${topic.data.accessToken}`)).toBe(fakeAccount);
      expect(azure.tokens.get(String(graph.data.accessToken))).toBe('https://graph.microsoft.com');

      const sessions = await sessionsIn(hallpass);
      const about = Object.fromEntries(sessions.map(({ credential, issuance }) => [credential, issuance]));
      expect(about).toEqual({ bucket: bucket.id, database: undefined, topic: undefined, graph: graph.id });

      const token = await exchange(hallpass, 'https://graph.microsoft.com');
      expect(azure.tokens.get(String(token.access_token))).toBe('https://graph.microsoft.com');
      expect(token.issued_token_type).toBe('urn:ietf:params:oauth:token-type:access_token');

      aws.server.instead = () => refusal(403, 'AccessDenied', 'canary is not authorized to perform: sts:TagSession');
      const refused = await hallpass.send('/v1/credentials/bucket', { method: 'POST', headers: as('svc:checkout') });
      const problem = await refused.text();
      expect([refused.status, JSON.parse(problem).code]).toEqual([502, 'store_failed']);
      await expect.poll(() => hallpass.log()).toContain('"reason":"no_tag_session"');
      expect(`${problem}${hallpass.log()}`).not.toContain('canary');
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}\n${hallpass.log()}`);
    } finally {
      await hallpass.end();
      remove();
    }
  });
});
