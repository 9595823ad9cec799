import type { ConfiguredCredential, TargetCredential } from '../../src/credentials/kind.ts';

/** `orders-db` by itself, as a sweeper is given it: nobody makes anything there, and what is ended is told to `undo`. */
export function onlyUndone(
  undo: TargetCredential['undo'],
  kind = 'postgres',
): ReadonlyMap<string, ConfiguredCredential> {
  const credential: TargetCredential = {
    made: 'target',
    account: (issuance) => `hp_${issuance}`,
    make: () => Promise.reject(new Error('not here')),
    undo,
  };
  return new Map([['orders-db', { name: 'orders-db', kind, open: async () => credential }]]);
}
