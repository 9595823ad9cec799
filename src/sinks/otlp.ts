import * as z from 'zod/mini';
import { urlSchema } from '../lib/schema.ts';
import { httpMembers, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('otlp'),
    /** Of the receiver, without `/v1/logs`. */
    url: urlSchema,
    format: z._default(z.enum(['native', 'ocsf']), 'native'),
    ...httpMembers(),
    ...recordMembers(),
  }),
);

export type OtlpConfig = z.infer<typeof schema>;

export const otlp: SinkPlugIn = {
  name: 'otlp',
  about: 'Logs by OpenTelemetry’s protocol (HTTP, JSON)',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  async load() {
    const { openOtlp } = await import('./otlp/open.ts');
    return { open: (config, deps) => openOtlp(config as OtlpConfig, deps) };
  },
};
