import { generateKeyPairSync, type KeyObject } from 'node:crypto';

export interface RsaPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const most = 8;
const pairs: RsaPair[] = [];
let next = 0;

/**
 * A pair of 2,048 bits of this process. Making one takes longer than most tests, so they come around again: of any eight
 * taken one after the other no two are the same.
 */
export function takeRsaPair(): RsaPair {
  const at = next++ % most;
  pairs[at] ??= generateKeyPairSync('rsa', { modulusLength: 2048 });
  return pairs[at];
}
