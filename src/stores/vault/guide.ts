import type { JsonObject } from '../../lib/strict-json.ts';
import { isVaultPath } from '../../sessions/vault-access.ts';
import type { GuideStep, PlatformGuide, StoreGuide } from '../guide.ts';
import type { VaultConfig } from '../vault.ts';

/** From nothing to a first read: where to log in, whose tokens are taken there, what they may do. */
export const guide: StoreGuide = (config, { issuer, jwksUri, audience, subject, names }) => {
  const entry = config as VaultConfig;
  const { auth, role } = entry;
  if (role === undefined) return [];
  return [
    operator(entry),
    {
      about:
        'A place to log in, which trusts this issuer; jwt_validation_pubkeys takes its keys as PEM where the address ' +
        'cannot be reached. Where the path is taken this stops, and what is there stays as it is: choose another with ' +
        '`auth: hallpass` in the store’s entry; where an earlier run of these lines took it, leave out what that run did',
      file: { name: 'hallpass-issuer.json', json: { jwks_url: jwksUri, bound_issuer: issuer } },
      // Pasted line by line nothing else would keep the second from a mount that is somebody else's.
      shell: `( bao auth enable -path='${auth}' jwt &&\n  bao write 'auth/${auth}/config' @hallpass-issuer.json )`,
    },
    reading(entry, role, names),
    {
      about: 'The role, for this subject and this audience alone',
      file: {
        name: 'hallpass-role.json',
        json: {
          role_type: 'jwt',
          user_claim: 'sub',
          bound_subject: subject,
          bound_audiences: [audience],
          ...tokensOf(role),
        },
      },
      shell: `bao write 'auth/${auth}/role/${role}' @hallpass-role.json`,
    },
  ];
};

export const platform: PlatformGuide = {
  instead: 'in the entry name a role of a jwt auth method, and no tokenFile',
  steps(config, names) {
    const entry = config as VaultConfig;
    const { auth, role = 'hallpass' } = entry;
    const isKubernetes = auth.split('/').at(-1) === 'kubernetes';
    const account: JsonObject = isKubernetes
      ? { bound_service_account_names: ['NAME'], bound_service_account_namespaces: ['NAMESPACE'] }
      : {
          role_type: 'jwt',
          user_claim: 'sub',
          bound_subject: 'system:serviceaccount:NAMESPACE:NAME',
          bound_audiences: ['AUDIENCE'],
        };
    const named = entry.role === undefined ? ', which the entry should name' : '';
    const audience = isKubernetes ? '' : ', and AUDIENCE whom its token is for';
    return [
      operator(entry),
      reading(entry, role, names),
      {
        about:
          `The role${named}: put in NAMESPACE and NAME of the service account that Hallpass runs as${audience}. ` +
          `The ${isKubernetes ? 'kubernetes' : 'jwt'} auth method at this path must trust the cluster already`,
        file: { name: 'hallpass-role.json', json: { ...account, ...tokensOf(role) } },
        shell: `bao write 'auth/${auth}/role/${role}' @hallpass-role.json`,
      },
    ];
  },
};

const tokensOf = (policy: string): JsonObject => ({ token_policies: [policy], token_ttl: '15m', token_max_ttl: '4h' });

function operator({ address, namespace }: VaultConfig): GuideStep {
  const where = namespace === undefined ? '' : ` VAULT_NAMESPACE='${namespace}'`;
  return {
    about: 'As an operator who is logged in; HashiCorp Vault has the same lines, with vault in place of bao',
    shell: `export VAULT_ADDR='${address}'${where}`,
  };
}

function reading({ mount, version }: VaultConfig, role: string, names: readonly string[]): GuideStep {
  const known = names.filter(isVaultPath);
  const what =
    known.length > 0
      ? 'What may be read: the secrets that the config names, and no other; lists need list on the folders'
      : 'What may be read; narrow the paths to the secrets it is asked for';
  return {
    about: `${what}. Of two stores with this role the policy needs the paths of both`,
    file: { name: 'hallpass-policy.json', json: policy(mount, version, known) },
    shell: `bao policy write '${role}' hallpass-policy.json`,
  };
}

/** Metadata is what describing and listing take; no value is in it. A policy may be JSON as well as HCL. */
function policy(mount: string, version: 1 | 2, names: readonly string[]): JsonObject {
  const values = version === 1 ? mount : `${mount}/data`;
  const about = version === 1 ? mount : `${mount}/metadata`;
  const rules: [string, string[]][] =
    names.length > 0
      ? names.flatMap((name) => [values, about].map((path): [string, string[]] => [`${path}/${name}`, ['read']]))
      : [
          [`${values}/*`, ['read']],
          [`${about}/*`, ['read', 'list']],
        ];
  return { path: Object.fromEntries(rules.map(([path, capabilities]) => [path, { capabilities }])) };
}
