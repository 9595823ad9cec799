import { describeKms } from '../contracts/kms.ts';
import { memoryKms } from './memory-kms.ts';

// What the signers' own tests run on must itself be a KMS.
describeKms('the KMS of the tests', { never: {} }, async () => {
  const [ES256, RS256, sealing] = [memoryKms('ES256'), memoryKms('RS256'), memoryKms()];
  const all = [ES256, RS256, sealing];
  const provoke = (fault: 'denied' | 'unreachable' | 'slow') => async () => {
    for (const kms of all) kms.fault = fault;
  };
  return {
    signing: { ES256, RS256 },
    sealing,
    provoke: { denied: provoke('denied'), unreachable: provoke('unreachable'), slow: provoke('slow') },
  };
});
