import type { JsonObject } from '../../lib/strict-json.ts';
import type { AwsSecretsManagerConfig } from '../aws-secrets-manager.ts';
import type { GuideFacts, GuideStep, StoreGuide } from '../guide.ts';

/** From nothing to a first read: the issuer, a role that trusts it for us alone, and what the role may read. */
export const guide: StoreGuide = (config, facts) => {
  const entry = config as AwsSecretsManagerConfig;
  const [, partition, , , account] = entry.assume?.split(':') ?? [];
  const name = entry.assume?.split('/').at(-1);
  if (partition === undefined || account === undefined || name === undefined) return [];
  const provider = facts.issuer.replace(/^https:\/\//, '');
  return [
    {
      about:
        'Make Hallpass an issuer that the account knows, unless it does; AWS fetches its keys from the issuer by itself',
      shell: `aws iam create-open-id-connect-provider --url '${facts.issuer}' --client-id-list '${facts.audience}'`,
    },
    {
      about: 'A role that trusts this issuer, for this audience and this subject alone',
      file: {
        name: 'hallpass-trust.json',
        json: trustOf(entry, facts, `arn:${partition}:iam::${account}:oidc-provider/${provider}`, provider),
      },
      shell: lines(`aws iam create-role --role-name '${name}'`, ...pathOf(entry.assume), document('trust')),
    },
    reading(name, entry.region, `arn:${partition}:secretsmanager:${entry.region}:${account}:secret:*`),
  ];
};

function trustOf(entry: AwsSecretsManagerConfig, facts: GuideFacts, arn: string, provider: string): JsonObject {
  return policy({
    Effect: 'Allow',
    Principal: { Federated: arn },
    Action: [
      'sts:AssumeRoleWithWebIdentity',
      'sts:TagSession',
      ...(entry.sourceIdentity === undefined ? [] : ['sts:SetSourceIdentity']),
    ],
    Condition: {
      StringEquals: { [`${provider}:aud`]: facts.audience, [`${provider}:sub`]: facts.subject },
    },
  });
}

/** Stores of two regions may share the role: the rights in one leave those in the other. */
const reading = (name: string, region: string, secrets: string): GuideStep => ({
  about:
    'What it may read: narrow the resource to a prefix of your secrets. Add kms:Decrypt on the key where a secret is not ' +
    'under aws/secretsmanager, secretsmanager:ListSecrets on * for lists, CreateSecret, PutSecretValue and DeleteSecret for writes',
  file: {
    name: 'hallpass-permissions.json',
    json: policy({
      Effect: 'Allow',
      Action: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
      Resource: secrets,
    }),
  },
  shell: lines(
    `aws iam put-role-policy --role-name '${name}' --policy-name hallpass-read-${region}`,
    '--policy-document file://hallpass-permissions.json',
  ),
});

const document = (what: string): string => `--assume-role-policy-document file://hallpass-${what}.json`;

/** A role may stand below a path, which is part of its ARN and not of its name. */
function pathOf(assume = ''): readonly string[] {
  const path = assume.slice(assume.indexOf('/'), assume.lastIndexOf('/') + 1);
  return path === '/' ? [] : [`--path '${path}'`];
}

const policy = (statement: JsonObject): JsonObject => ({ Version: '2012-10-17', Statement: [statement] });

const lines = (...parts: readonly string[]): string => parts.join(' \\\n  ');
