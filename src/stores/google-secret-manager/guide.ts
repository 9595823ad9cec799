import type { GoogleSecretManagerConfig } from '../google-secret-manager.ts';
import { type GuideFacts, type GuideStep, type PlatformGuide, quote, type StoreGuide } from '../guide.ts';
import { isSecretName } from './name.ts';

/** From nothing to a first read: who we are, what that identity may act as, and the one right it needs. */
export const guide: StoreGuide = (config, facts) => {
  const { project, provider, account } = config as GoogleSecretManagerConfig;
  const path = provider?.split('/') ?? [];
  const [, number, , , , pool, , name] = path;
  if (provider === undefined || number === undefined || pool === undefined || name === undefined) return [];
  const us = `principal://iam.googleapis.com/${path.slice(0, 6).join('/')}/subject/${facts.subject}`;
  const reader = account === undefined ? us : `serviceAccount:${account}`;
  return [
    {
      about: 'Turn on the APIs that are called: tokens in the project of the pool, secrets in that of the store',
      shell: [
        `gcloud services enable sts.googleapis.com iamcredentials.googleapis.com --project='${number}'`,
        `gcloud services enable secretmanager.googleapis.com --project='${project}'`,
      ].join('\n'),
    },
    {
      about: 'A pool for identities from outside',
      shell: `gcloud iam workload-identity-pools create '${pool}' --project='${number}' --location=global`,
    },
    {
      about: 'Trust this issuer in the pool, for this audience and this subject alone',
      shell: trust(facts, name, path),
    },
    ...(account === undefined ? [] : [actAs(account, us)]),
    reading(config as GoogleSecretManagerConfig, reader, facts.names),
  ];
};

export const platform: PlatformGuide = {
  instead: 'add provider: projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER to the entry',
  steps(config, names) {
    const entry = config as GoogleSecretManagerConfig;
    const us = 'serviceAccount:RUNS-AS';
    const about = 'RUNS-AS is the service account that the platform runs Hallpass as.';
    if (entry.account === undefined) {
      const step = reading(entry, us, names);
      return [{ ...step, about: `${about} ${step.about}` }];
    }
    const shell = lines(
      `gcloud iam service-accounts add-iam-policy-binding '${entry.account}'`,
      '--role=roles/iam.serviceAccountTokenCreator',
      `--member='${us}'`,
    );
    return [
      { about: `${about} Leave to act as the account of the entry`, shell },
      reading(entry, `serviceAccount:${entry.account}`, names),
    ];
  },
};

function reading(
  { project, location }: GoogleSecretManagerConfig,
  reader: string,
  names: readonly string[],
): GuideStep {
  const bind = (secret: string): string =>
    lines(
      `gcloud secrets add-iam-policy-binding ${secret} --project='${project}'`,
      ...(location === undefined ? [] : [`--location='${location}'`]),
      '--role=roles/secretmanager.secretAccessor',
      `--member='${reader}'`,
    );
  const known = names.filter(isSecretName);
  if (known.length > 0)
    return {
      about: 'Let it read the secrets that the config names, and no other (try it by store check --secret)',
      shell: known.map((secret) => bind(quote(secret))).join('\n'),
    };
  return {
    about:
      'Let it read and nothing else: once for each secret, its name in place of SECRET (try it by store check --secret)',
    shell: bind('SECRET'),
  };
}

function trust({ issuer, audience, subject }: GuideFacts, name: string, path: readonly string[]): string {
  return lines(
    `gcloud iam workload-identity-pools providers create-oidc '${name}'`,
    `--project='${path[1]}' --location=global --workload-identity-pool='${path[5]}'`,
    `--issuer-uri='${issuer}'`,
    `--allowed-audiences='${audience}'`,
    "--attribute-mapping='google.subject=assertion.sub'",
    `--attribute-condition="assertion.sub == '${subject}'"`,
  );
}

function actAs(account: string, us: string): GuideStep {
  const [name, host] = account.split('@');
  const project = host?.endsWith('.iam.gserviceaccount.com') ? host.split('.')[0] : undefined;
  const create = `gcloud iam service-accounts create '${name}' --project='${project}'`;
  const bind = lines(
    `gcloud iam service-accounts add-iam-policy-binding '${account}'`,
    ...(project === undefined ? [] : [`--project='${project}'`]),
    '--role=roles/iam.workloadIdentityUser',
    `--member='${us}'`,
  );
  return {
    about: 'The service account it acts as, and leave to act as it',
    shell: project === undefined ? bind : `${create}\n${bind}`,
  };
}

const lines = (...parts: readonly string[]): string => parts.join(' \\\n  ');
