import { azureKeyMembers as members } from './azure-key-vault-keys/members.ts';
import { kmsSigner } from './kms-signer.ts';

export const azureKeyVaultKeys = kmsSigner({
  name: 'azure-key-vault-keys',
  about: 'Keys of Azure Key Vault or Managed HSM, or keys that it sealed',
  members,
  load: async () => {
    const { open } = await import('./azure-key-vault-keys/kms.ts');
    return { open };
  },
});
