import * as z from 'zod/mini';
import { refSchema, urlSchema } from '../lib/schema.ts';
import { checkpointMembers, everySchema, formatSchema, httpMembers, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('http'),
    url: urlSchema,
    /** What calls are signed with (HMAC-SHA256). */
    key: z.optional(refSchema),
    format: formatSchema(),
    ...httpMembers(),
    ...recordMembers(),
    ...checkpointMembers(),
    every: everySchema(),
  }),
);

export type HttpSinkConfig = z.infer<typeof schema>;

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
