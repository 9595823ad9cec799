import { refSchema, urlSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import { caSchema } from '../lib/trust.ts';
import { batchSchema, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const word = s.optional(
  s.later(() => s.string().check(s.regex(/^[\w:.-]{1,80}$/, 'expected 1 to 80 of A-Za-z0-9_:.-'))),
);

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('splunk-hec'),
    /** Of the collector, without its path. */
    url: urlSchema,
    token: refSchema,
    index: word,
    sourcetype: word,
    format: s.withDefault(s.enum(['native', 'ocsf']), 'native'),
    ca: caSchema,
    batch: batchSchema(),
    ...recordMembers(),
  }),
);

export type SplunkConfig = s.infer<typeof schema>;

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
