import * as z from 'zod/mini';
import { later, refSchema, urlSchema } from '../lib/schema.ts';
import { caSchema } from '../lib/trust.ts';
import { batchSchema, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const word = z.optional(later(() => z.string().check(z.regex(/^[\w:.-]{1,80}$/, 'expected 1 to 80 of A-Za-z0-9_:.-'))));

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('splunk-hec'),
    /** Of the collector, without its path. */
    url: urlSchema,
    token: refSchema,
    index: word,
    sourcetype: word,
    format: z._default(z.enum(['native', 'ocsf']), 'native'),
    ca: caSchema,
    batch: batchSchema(),
    ...recordMembers(),
  }),
);

export type SplunkConfig = z.infer<typeof schema>;

export const splunkHec: SinkPlugIn = {
  name: 'splunk-hec',
  about: 'The HTTP event collector of Splunk',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  async load() {
    const { openSplunk } = await import('./splunk-hec/open.ts');
    return { open: (config, deps) => openSplunk(config as SplunkConfig, deps) };
  },
};
