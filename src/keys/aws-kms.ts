import { members } from './aws-kms/members.ts';
import { kmsSigner } from './kms-signer.ts';

export const awsKms = kmsSigner({
  name: 'aws-kms',
  about: 'Keys of AWS KMS, or keys that it sealed',
  members,
  load: async () => {
    const { open } = await import('./aws-kms/kms.ts');
    return { open };
  },
});
