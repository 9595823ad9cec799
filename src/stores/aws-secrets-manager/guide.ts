import type { JsonObject } from '../../lib/strict-json.ts';
import type { AwsSecretsManagerConfig } from '../aws-secrets-manager.ts';
import { type GuideFacts, type GuideStep, type PlatformGuide, quote, type StoreGuide } from '../guide.ts';
import { isSecretArn, isSecretName } from './name.ts';

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
    reading(
      quote(name),
      entry.region,
      secretsOf(facts.names, `${partition}:secretsmanager:${entry.region}:${account}`),
    ),
  ];
};

/** By the beginning of a region's code. */
const partitions: readonly (readonly [string, string])[] = [
  ['cn-', 'aws-cn'],
  ['us-gov-', 'aws-us-gov'],
  ['eusc-', 'aws-eusc'],
];

export const platform: PlatformGuide = {
  instead: 'add assume: ROLE-ARN to the entry',
  steps(config, names) {
    const { region } = config as AwsSecretsManagerConfig;
    const partition = partitions.find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'aws';
    const step = reading('ROLE', region, secretsOf(names, `${partition}:secretsmanager:${region}:ACCOUNT`));
    return [
      { ...step, about: `ROLE is the role that the platform runs Hallpass as, ACCOUNT its account. ${step.about}` },
    ];
  },
};

/** AWS puts six characters of its own behind a name, as a pattern where the config leaves them out. */
function secretsOf(names: readonly string[], place: string): string | string[] {
  const known = names.filter(isSecretName);
  if (known.length === 0) return `arn:${place}:secret:*`;
  const arns = known.map((name) => (isSecretArn(name) ? fullArn(name) : `arn:${place}:secret:${name}-??????`));
  return [...new Set(arns)];
}

const fullArn = (arn: string): string => (/-[A-Za-z0-9]{6}$/.test(arn) ? arn : `${arn}-??????`);

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
const reading = (role: string, region: string, secrets: string | string[]): GuideStep => ({
  about:
    (typeof secrets === 'string'
      ? 'What it may read: narrow the resource to a prefix of your secrets. '
      : 'What it may read: the secrets that the config names, and no other. ') +
    'Add kms:Decrypt on the key where a secret is not ' +
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
    `aws iam put-role-policy --role-name ${role} --policy-name hallpass-read-${region}`,
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
