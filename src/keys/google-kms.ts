import { members } from './google-kms/members.ts';
import { kmsSigner } from './kms-signer.ts';

export const googleKms = kmsSigner({
  name: 'google-kms',
  about: 'Keys of Google Cloud KMS, or keys that it sealed',
  members,
  load: async () => {
    const { open } = await import('./google-kms/kms.ts');
    return { open };
  },
});
