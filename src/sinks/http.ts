import { refSchema, urlSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import { checkpointMembers, everySchema, formatSchema, httpMembers, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('http'),
    url: urlSchema,
    /** What calls are signed with (HMAC-SHA256). */
    key: s.optional(refSchema),
    format: formatSchema(),
    ...httpMembers(),
    ...recordMembers(),
    ...checkpointMembers(),
    every: everySchema(),
  }),
);

export type HttpSinkConfig = s.infer<typeof schema>;

export const httpSink: SinkPlugIn = {
  name: 'http',
  about: 'A webhook: batches by POST, signed as Standard Webhooks has it',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  async load() {
    const { openHttpSink } = await import('./http/open.ts');
    return { open: (config, deps) => openHttpSink(config as HttpSinkConfig, deps) };
  },
};
