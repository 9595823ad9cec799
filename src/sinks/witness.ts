import { urlSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import { caSchema } from '../lib/trust.ts';
import { everySchema } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';
import { cosignerOf } from './witness/cosignature.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('witness'),
    /** The submission prefix, without `/add-checkpoint`. */
    url: urlSchema,
    /** Verifier key of its cosignatures (type 4). */
    key: s
      .string()
      .check(s.refine((text) => cosignerOf(text) !== undefined, 'expected NAME+HASH+KEY of type cosignature/v1')),
    ca: caSchema,
    send: s.withDefault(s.literal('checkpoints'), 'checkpoints'),
    every: everySchema(),
  }),
);

export type WitnessConfig = s.infer<typeof schema>;

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
