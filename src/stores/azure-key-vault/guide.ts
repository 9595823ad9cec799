import { isVaultName } from '../../sessions/azure/cloud.ts';
import type { AzureKeyVaultConfig } from '../azure-key-vault.ts';
import { type GuideStep, type PlatformGuide, quote, type StoreGuide } from '../guide.ts';

/** From nothing to a first read: an app registration that trusts our assertions, and the one role it needs. */
export const guide: StoreGuide = (config, { issuer, subject, audience, names }) => {
  const { vault, tenant, client } = config as AzureKeyVaultConfig;
  if (tenant === undefined || client === undefined) return [];
  const file = 'hallpass-federated-credential.json';
  return [
    {
      about:
        'An app registration for Hallpass, without a secret or certificate; what is printed is client in the config',
      shell: `az login --tenant '${tenant}'\naz ad app create --display-name hallpass --query appId --output tsv`,
    },
    {
      about: 'Its service principal in this tenant, which roles are given to',
      shell: `az ad sp create --id '${client}'`,
    },
    {
      about:
        'Trust this issuer for this subject alone. Entra takes RS256 only: an RSA key must be among the signers, and the issuer must be reachable from the internet',
      file: { name: file, json: { name: 'hallpass', issuer, subject, audiences: [audience] } },
      shell: `az ad app federated-credential create --id '${client}' --parameters ${file}`,
    },
    ...reading(vault, objectOf(client), names),
  ];
};

export const platform: PlatformGuide = {
  instead: 'add tenant and client to the entry, of an app registration',
  steps(config, names) {
    const { vault, identity } = config as AzureKeyVaultConfig;
    if (identity !== undefined && identity !== 'system') return reading(vault, objectOf(identity), names);
    const [first, ...more] = reading(vault, 'PRINCIPAL', names);
    if (first === undefined) return [];
    const about = `PRINCIPAL is the object id of the managed identity that Hallpass runs as. ${first.about}`;
    return [{ ...first, about }, ...more];
  },
};

const objectOf = (client: string): string => `"$(az ad sp show --id '${client}' --query id --output tsv)"`;

function reading(vault: string, assignee: string, names: readonly string[]): GuideStep[] {
  const [name = ''] = new URL(vault).hostname.split('.');
  const assign = (below: string): string =>
    lines(
      "az role assignment create --role 'Key Vault Secrets User'",
      `--assignee-object-id ${assignee}`,
      '--assignee-principal-type ServicePrincipal',
      `--scope "$(az keyvault show --name ${quote(name)} --query id --output tsv)"${below}`,
    );
  const known = names.filter(isVaultName);
  if (known.length > 0)
    return [
      {
        about: 'Let it read the secrets that the config names, and no other; the vault must use Azure RBAC',
        shell: known.map((secret) => assign(`/secrets/${quote(secret)}`)).join('\n'),
      },
    ];
  return [
    { about: 'Let it read every secret of the vault, which must use Azure RBAC', shell: assign('') },
    {
      about: 'Or, in place of that, only some: once for each secret, with its name in place of SECRET',
      shell: assign('/secrets/SECRET'),
    },
  ];
}

const lines = (...parts: readonly string[]): string => parts.join(' \\\n  ');
