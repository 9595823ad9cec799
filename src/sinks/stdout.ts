import * as z from 'zod/mini';
import { batchSchema, formatSchema, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('stdout'),
    format: formatSchema(),
    batch: batchSchema(),
    ...recordMembers(),
  }),
);

export type StdoutConfig = z.infer<typeof schema>;

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
