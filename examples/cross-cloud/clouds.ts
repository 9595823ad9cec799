import { startAws } from '../../test/fakes/aws.ts';
import { startAzure } from '../../test/fakes/azure.ts';
import { fakeAccount, startFakeGoogle } from '../../test/fakes/google.ts';
import { someValue } from '../../test/fakes/shelves.ts';
import { askBao, setUpBao } from '../../test/real/bao.ts';
import { install, lacks, type RealName, startReal } from '../../test/real-servers/start.ts';

/** The clouds of the story, by the names of the stores in hallpass.yaml. */
export interface Clouds {
  readonly values: Readonly<Record<'aws-prod' | 'hub' | 'core' | 'bao', string>>;
  /** What stands in the config in place of the clouds' own addresses. */
  readonly addresses: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** For the one that fetches the issuer's keys when it is told to trust it. */
  readonly trust: () => Promise<void>;
}

/**
 * AWS: Secrets Manager of ministack, and a STS of ours that verifies the token; Azure and Google: fakes of ours that verify
 * it too; and OpenBao itself. How each is stopped is put into `ends` once it runs, so that none is left when a later one fails.
 */
export async function startClouds(
  us: { readonly issuer: string; readonly subject: string },
  say: (line: string) => void,
  ends: (() => Promise<unknown>)[],
): Promise<Clouds> {
  for (const name of ['ministack', 'openbao'] as const) ensure(name, say);
  const values = { 'aws-prod': someValue(), hub: someValue(), core: someValue(), bao: someValue() };

  const sts = await startAws([
    { ...us, audience: 'sts.amazonaws.com', role: 'arn:aws:iam::123456789012:role/hallpass' },
  ]);
  ends.unshift(sts.close);
  const ministack = await startReal('ministack');
  ends.unshift(ministack.stop);
  await createSecret(ministack.url, 'prod/stripe', values['aws-prod']);
  say(`   AWS     ministack on ${ministack.url}, STS on ${sts.url}`);

  const azure = await startAzure({ trust: [{ ...us, audience: 'api://AzureADTokenExchange' }] });
  ends.unshift(azure.stop);
  azure.secrets.seed('mail-key', values.hub);
  say(`   Azure   Entra and Key Vault on ${azure.url}`);

  const google = await startFakeGoogle({
    trust: [{ ...us, audience: `https://iam.googleapis.com/${provider}` }],
    reader: fakeAccount,
  });
  ends.unshift(google.close);
  google.secretManager.seed('acme-core', 'maps-key', values.core);
  say(`   Google  STS, IAM and Secret Manager on ${google.url}`);

  const bao = await startReal('openbao');
  ends.unshift(bao.stop);
  await askBao(bao, 'POST', 'secret/data/shop/search-key', { data: { value: values.bao } });
  say(`   OpenBao on ${bao.url}`);

  return {
    values,
    addresses: {
      'aws-prod': { endpoint: ministack.url, sts: sts.url },
      hub: { vault: azure.url, authority: azure.url },
      core: { endpoint: google.url, sts: google.url, iam: google.url },
      bao: { address: bao.url },
    },
    trust: () => setUpBao(bao, { ...us, audience: bao.url }),
  };
}

const provider = 'projects/123456789/locations/global/workloadIdentityPools/outside/providers/hallpass';

function ensure(name: RealName, say: (line: string) => void): void {
  if (lacks(name) === undefined) return;
  say(`   ${name} is not here yet: installing it once from PyPI, outside this tree (about 20 s)`);
  install(name);
}

/** As an operator would; ministack checks no signature. */
async function createSecret(endpoint: string, Name: string, SecretString: string): Promise<void> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'secretsmanager.CreateSecret',
      authorization: 'AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/secretsmanager/aws4_request',
    },
    body: JSON.stringify({ Name, SecretString, ClientRequestToken: crypto.randomUUID() }),
  });
  if (!response.ok) throw new Error(`ministack: ${response.status} ${await response.text()}`);
}
