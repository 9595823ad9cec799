import * as s from '../lib/schema/index.ts';
import { batchSchema, formatSchema, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('stdout'),
    format: formatSchema(),
    batch: batchSchema(),
    ...recordMembers(),
  }),
);

export type StdoutConfig = s.infer<typeof schema>;

export const stdout: SinkPlugIn = {
  name: 'stdout',
  about: 'Lines of JSON on standard output, for a platform that collects it',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  async load() {
    const { openStdout } = await import('./stdout/open.ts');
    return { open: (config, deps) => openStdout(config as StdoutConfig, deps) };
  },
};
