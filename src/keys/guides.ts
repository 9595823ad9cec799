import type { GuideStep } from '../lib/guide.ts';
import type { KmsSignerConfig } from './kms-signer.ts';

type Entry = KmsSignerConfig & Readonly<Record<string, unknown>>;

/** What a KMS must let our ambient identity do with its key, and nothing more; empty for a signer that asks nobody. */
export function signerGuide(signer: { readonly kind: string }): readonly GuideStep[] {
  const guide = Object.hasOwn(guides, signer.kind) ? guides[signer.kind] : undefined;
  return guide === undefined ? [] : [guide(signer as Entry)];
}

const wrapKey = ({ key, wrap }: Entry): string => (typeof wrap === 'string' ? wrap : key);

const guides: Readonly<Record<string, (signer: Entry) => GuideStep>> = {
  'aws-kms'(signer) {
    const wrapped = signer.wrapped !== undefined;
    const key = wrapped ? wrapKey(signer) : signer.key;
    const byAlias = key.startsWith('alias/');
    return {
      about:
        'the key that signs: attach this to the role that the process which holds the ledger runs as (put in the account)',
      file: {
        name: 'hallpass-kms.json',
        json: {
          Version: '2012-10-17',
          Statement: [
            {
              Effect: 'Allow',
              Action: wrapped ? ['kms:Encrypt', 'kms:Decrypt'] : ['kms:Sign', 'kms:GetPublicKey'],
              Resource: key.startsWith('arn:')
                ? key
                : `arn:aws:kms:${String(signer.region)}:ACCOUNT:${byAlias ? 'key/*' : `key/${key}`}`,
              ...(byAlias && { Condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': key } } }),
            },
          ],
        },
      },
      shell:
        'aws iam put-role-policy --role-name ROLE --policy-name hallpass-kms --policy-document file://hallpass-kms.json',
    };
  },
  'google-kms'(signer) {
    const wrapped = signer.wrapped !== undefined;
    const key = wrapped ? wrapKey(signer) : signer.key;
    const roles = wrapped
      ? ['roles/cloudkms.cryptoKeyEncrypterDecrypter']
      : ['roles/cloudkms.signerVerifier', 'roles/cloudkms.viewer'];
    const bind = (role: string) =>
      `gcloud kms keys add-iam-policy-binding ${key} --member serviceAccount:ACCOUNT --role ${role}`;
    return {
      about: 'the key that signs: for the service account that the process which holds the ledger runs as',
      shell: roles.map(bind).join('\n'),
    };
  },
  'azure-key-vault-keys'(signer) {
    const wrapped = signer.wrapped !== undefined;
    const name = String(signer.vault)
      .replace(/^https:\/\//, '')
      .split('.')[0];
    const key = wrapped ? wrapKey(signer) : signer.key;
    const role = wrapped ? 'Key Vault Crypto Service Encryption User' : 'Key Vault Crypto User';
    return {
      about:
        'the key that signs: for the managed identity that the process which holds the ledger runs as, on this one key',
      shell: `az role assignment create --role '${role}' --assignee PRINCIPAL --scope "$(az keyvault show --name ${name} --query id --output tsv)/keys/${key}"`,
    };
  },
  'vault-transit'(signer) {
    const wrapped = signer.wrapped !== undefined;
    const mount = typeof signer.mount === 'string' ? signer.mount : 'transit';
    const wrap = wrapKey(signer);
    const paths = wrapped
      ? [
          [`${mount}/encrypt/${wrap}`, 'update'],
          [`${mount}/decrypt/${wrap}`, 'update'],
        ]
      : [
          [`${mount}/keys/${signer.key}`, 'read'],
          [`${mount}/sign/${signer.key}`, 'update'],
        ];
    const rules = paths.map(([path, right]) => `path "${path}" { capabilities = ["${right}"] }`);
    return {
      about: 'the key that signs: for the role that the process which holds the ledger logs in with',
      shell: `vault policy write hallpass-transit - <<'END'\n${rules.join('\n')}\nEND`,
    };
  },
};
