import { kmsSigner } from './kms-signer.ts';
import { members } from './vault-transit/members.ts';

export const vaultTransit = kmsSigner({
  name: 'vault-transit',
  about: 'Keys of Vault’s or OpenBao’s transit engine, or keys that it sealed',
  members,
  load: async () => {
    const { open } = await import('./vault-transit/kms.ts');
    return { open };
  },
});
