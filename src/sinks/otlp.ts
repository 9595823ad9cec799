import { urlSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import { httpMembers, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('otlp'),
    /** Of the receiver, without `/v1/logs`. */
    url: urlSchema,
    format: s.withDefault(s.enum(['native', 'ocsf']), 'native'),
    ...httpMembers(),
    ...recordMembers(),
  }),
);

export type OtlpConfig = s.infer<typeof schema>;

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
