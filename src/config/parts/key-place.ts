import type { Config, Entry } from '../config.ts';

/** Whether a signer's keys lie in the storage of the ledger's Durable Object. */
export const isInObject = ({ kind, path, key, wrapped }: Entry): boolean =>
  kind === 'local'
    ? path === undefined && key === undefined
    : typeof wrapped === 'object' && wrapped !== null && Object.keys(wrapped).length === 0;

/**
 * Whether there are signer's keys in this process: not where there are none, nor beside a Durable Object that keeps its
 * own or asks a KMS (else the calls to it would grow with the handlers).
 */
export const keysHere = ({ broker: { signer }, ledger }: Config): boolean =>
  signer.length > 0 &&
  (ledger.kind !== 'durable-object' || signer.every((entry) => entry.kind === 'local' && !isInObject(entry)));
