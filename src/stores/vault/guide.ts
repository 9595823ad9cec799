import type { JsonObject } from '../../lib/strict-json.ts';
import type { StoreGuide } from '../guide.ts';
import type { VaultConfig } from '../vault.ts';

/** From nothing to a first read: where to log in, whose tokens are taken there, what they may do. */
export const guide: StoreGuide = (config, { issuer, jwksUri, audience, subject }) => {
  const { address, namespace, auth, role, mount, version } = config as VaultConfig;
  if (role === undefined) return [];
  const where = namespace === undefined ? '' : ` VAULT_NAMESPACE='${namespace}'`;
  return [
    {
      about: 'As an operator who is logged in; HashiCorp Vault has the same lines, with vault in place of bao',
      shell: `export VAULT_ADDR='${address}'${where}`,
    },
    { about: 'A place to log in, unless there is one at this path', shell: `bao auth enable -path='${auth}' jwt` },
    {
      about:
        'Trust this issuer there; jwt_validation_pubkeys takes its keys as PEM where the address cannot be reached',
      file: { name: 'hallpass-issuer.json', json: { jwks_url: jwksUri, bound_issuer: issuer } },
      shell: `bao write 'auth/${auth}/config' @hallpass-issuer.json`,
    },
    {
      about:
        'What may be read; narrow the paths to the secrets it is asked for. Of two stores with this role the policy needs ' +
        'the paths of both',
      file: { name: 'hallpass-policy.json', json: policy(mount, version) },
      shell: `bao policy write '${role}' hallpass-policy.json`,
    },
    {
      about: 'The role, for this subject and this audience alone',
      file: {
        name: 'hallpass-role.json',
        json: {
          role_type: 'jwt',
          user_claim: 'sub',
          bound_subject: subject,
          bound_audiences: [audience],
          token_policies: [role],
          token_ttl: '15m',
          token_max_ttl: '4h',
        },
      },
      shell: `bao write 'auth/${auth}/role/${role}' @hallpass-role.json`,
    },
  ];
};

/** Metadata is what describing and listing take; no value is in it. A policy may be JSON as well as HCL. */
function policy(mount: string, version: 1 | 2): JsonObject {
  if (version === 1) return { path: { [`${mount}/*`]: { capabilities: ['read', 'list'] } } };
  return {
    path: {
      [`${mount}/data/*`]: { capabilities: ['read'] },
      [`${mount}/metadata/*`]: { capabilities: ['read', 'list'] },
    },
  };
}
