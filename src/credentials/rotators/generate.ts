import { toBase64Url } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import type { RotateConfig, Rotator, RotatorDeps, RotatorPlugIn } from '../rotator.ts';

/** A value that is only stored: random bytes, as base64url. */
export const generate: RotatorPlugIn = {
  name: 'generate',
  runtimes: ['node', 'lambda', 'workerd'],
  load: async () => ({ open }),
};

function open(config: unknown, { random }: RotatorDeps): Rotator {
  const { bytes } = config as Extract<RotateConfig, { kind: 'generate' }>;
  return {
    alone: (_, __, work) =>
      work({
        next: async () => new Secret(toBase64Url(random(bytes))),
        set: async () => {},
        try: async () => {},
        stillAlone: async () => {},
      }),
  };
}
