import type { IssuerShape } from '../lib/issuer-shape.ts';
import { presetOf } from './catalog.ts';

export { presetOf, presets } from './catalog.ts';
export { audienceFaults } from './issuer-config.ts';
export type { IssuerProfile, Preset } from './preset.ts';
export type { TokenReason } from './refuse.ts';
export { type CheckSignature, signatureCheck } from './signature.ts';
export { createVerifier, type Verifier, type VerifierOptions } from './verifier.ts';
export { bindingIdentity, isWorkerBinding } from './worker-binding.ts';

/** What policy must know of a configured issuer. @throws Error for an unknown preset: the config was checked */
export function shapeOf(config: unknown): IssuerShape {
  const preset = presetOf(config);
  if (preset === undefined) throw new Error('unknown preset');
  return preset.shape;
}
