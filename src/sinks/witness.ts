import * as z from 'zod/mini';
import { urlSchema } from '../lib/schema.ts';
import { caSchema } from '../lib/trust.ts';
import { everySchema } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';
import { cosignerOf } from './witness/cosignature.ts';

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('witness'),
    /** The submission prefix, without `/add-checkpoint`. */
    url: urlSchema,
    /** Verifier key of its cosignatures (type 4). */
    key: z
      .string()
      .check(z.refine((text) => cosignerOf(text) !== undefined, 'expected NAME+HASH+KEY of type cosignature/v1')),
    ca: caSchema,
    send: z._default(z.literal('checkpoints'), 'checkpoints'),
    every: everySchema(),
  }),
);

export type WitnessConfig = z.infer<typeof schema>;

export const witness: SinkPlugIn = {
  name: 'witness',
  about: 'A C2SP witness, which cosigns checkpoints',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  async load() {
    const { openWitness } = await import('./witness/open.ts');
    return { open: (config, deps) => openWitness(config as WitnessConfig, deps) };
  },
};
