import { randomBytes } from 'node:crypto';
import { startAws } from './aws.ts';
import { client, startAzure, tenant } from './azure.ts';
import type { Trust } from './federation.ts';
import { fakeAccount, fakeProvider, startFakeGoogle } from './google.ts';
import { startKubernetes } from './kubernetes.ts';
import type { FakeServer } from './server.ts';
import { startVault } from './vault.ts';

/** A fake of one kind of store that trusts one Hallpass and holds one secret. */
export interface FakeShelf {
  readonly server: FakeServer;
  /** The store's config entry for this fake, or for what stands in front of it. */
  entry(url?: string): Record<string, unknown>;
  readonly secret: { readonly name: string; readonly value: string };
  /** Whether a call is part of logging in. */
  isLogin(call: FakeServer['calls'][number]): boolean;
  close(): Promise<void>;
}

/** Whose assertions it trusts. */
export type Trusted = Pick<Trust, 'issuer' | 'subject' | 'keys'>;

/** Obviously not a secret of anybody's, and another one each time. */
export const someValue = (): string => `not-a-real-secret-${randomBytes(6).toString('hex')}`;

const role = 'arn:aws:iam::123456789012:role/hallpass';

export const fakeShelves = {
  async 'aws-secrets-manager'(trusted: Trusted): Promise<FakeShelf> {
    const aws = await startAws([{ ...trusted, audience: 'sts.amazonaws.com', role }]);
    const value = someValue();
    aws.secrets.actions.CreateSecret?.({
      Name: 'prod/stripe',
      SecretString: value,
      ClientRequestToken: randomBytes(16).toString('hex'),
    });
    return {
      server: aws.server,
      entry: (url = aws.url) => ({
        kind: 'aws-secrets-manager',
        region: 'eu-west-1',
        assume: role,
        endpoint: url,
        sts: url,
      }),
      secret: { name: 'prod/stripe', value },
      isLogin: ({ headers }) => headers['x-amz-target'] === undefined,
      close: aws.close,
    };
  },

  async 'azure-key-vault'(trusted: Trusted): Promise<FakeShelf> {
    const azure = await startAzure({ trust: [{ ...trusted, audience: 'api://AzureADTokenExchange' }] });
    const value = someValue();
    azure.secrets.seed('stripe', value);
    return {
      server: azure.server,
      entry: (url = azure.url) => ({ kind: 'azure-key-vault', vault: url, authority: url, tenant, client }),
      secret: { name: 'stripe', value },
      isLogin: ({ url }) => url.pathname.endsWith('/oauth2/v2.0/token'),
      close: azure.stop,
    };
  },

  async 'google-secret-manager'(trusted: Trusted): Promise<FakeShelf> {
    const audience = `https://iam.googleapis.com/${fakeProvider}`;
    const google = await startFakeGoogle({ trust: [{ ...trusted, audience }], reader: fakeAccount });
    const value = someValue();
    google.secretManager.seed('acme-core', 'stripe', value);
    const names = { project: 'acme-core', provider: fakeProvider, account: fakeAccount };
    return {
      server: google.server,
      entry: (url = google.url) => ({ kind: 'google-secret-manager', ...names, endpoint: url, sts: url, iam: url }),
      secret: { name: 'stripe', value },
      isLogin: ({ url }) => url.pathname === '/v1/token' || url.pathname.includes('/serviceAccounts/'),
      close: google.close,
    };
  },

  async vault(trusted: Trusted): Promise<FakeShelf> {
    const audience = 'https://vault.test';
    const vault = await startVault({ hallpass: { ...trusted, audience } });
    const value = someValue();
    vault.secrets.set('shop/stripe', [{ data: { value }, deleted: '', destroyed: false }]);
    return {
      server: vault.server,
      entry: (url = vault.url) => ({ kind: 'vault', address: url, role: 'hallpass', audience }),
      secret: { name: 'shop/stripe', value },
      isLogin: ({ url }) => url.pathname === '/v1/auth/jwt/login',
      close: vault.close,
    };
  },

  async kubernetes(trusted: Trusted): Promise<FakeShelf> {
    const audience = 'https://cluster.test';
    const cluster = await startKubernetes([{ ...trusted, audience }]);
    const value = someValue();
    cluster.set('shop', 'payments', 'stripe', Buffer.from(value));
    return {
      server: cluster.server,
      entry: (url = cluster.url) => ({ kind: 'kubernetes', server: url, namespace: 'shop', audience }),
      secret: { name: 'payments/stripe', value },
      // The assertion itself is the bearer: nobody is asked for a session.
      isLogin: () => false,
      close: cluster.close,
    };
  },
} as const;

export type FakeKind = keyof typeof fakeShelves;
export const fakeKinds = Object.keys(fakeShelves) as readonly FakeKind[];
