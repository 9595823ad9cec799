import type { AzureKeyVaultConfig } from '../azure-key-vault.ts';
import type { StoreGuide } from '../guide.ts';

/** From nothing to a first read: an app registration that trusts our assertions, and the one role it needs. */
export const guide: StoreGuide = (config, { issuer, subject, audience }) => {
  const { vault, tenant, client } = config as AzureKeyVaultConfig;
  if (tenant === undefined || client === undefined) return [];
  const [name] = new URL(vault).hostname.split('.');
  const file = 'hallpass-federated-credential.json';
  const scope = `"$(az keyvault show --name '${name}' --query id --output tsv)`;
  const assign = lines(
    "az role assignment create --role 'Key Vault Secrets User'",
    `--assignee-object-id "$(az ad sp show --id '${client}' --query id --output tsv)"`,
    '--assignee-principal-type ServicePrincipal',
  );
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
    {
      about: 'Let it read every secret of the vault, which must use Azure RBAC',
      shell: `${assign} \\\n  --scope ${scope}"`,
    },
    {
      about: 'Or, in place of that, only some: once for each secret, with its name in place of SECRET',
      shell: `${assign} \\\n  --scope ${scope}/secrets/SECRET"`,
    },
  ];
};

const lines = (...parts: readonly string[]): string => parts.join(' \\\n  ');
