import * as s from '../lib/schema/index.ts';
import { batchSchema, checkpointMembers, everySchema, formatSchema, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('file'),
    /** The file, or for checkpoints the folder. */
    path: s.string().check(s.minLength(1), s.maxLength(4096)),
    format: formatSchema(),
    batch: batchSchema(),
    /** A file is put aside when it is of another day (UTC), or has so many bytes. */
    rotate: s.optional(
      s.union([s.literal('daily'), s.int().check(s.minimum(1_048_576), s.maximum(1_099_511_627_776))]),
    ),
    ...recordMembers(),
    ...checkpointMembers(),
    every: everySchema(),
  }),
);

export type FileConfig = s.infer<typeof schema>;

export const fileSink: SinkPlugIn = {
  name: 'file',
  about: 'Lines of JSON appended to a file, each batch synced',
  schema,
  runtimes: ['node'],
  async load() {
    const { openFile } = await import('./file/open.ts');
    return { open: (config, deps) => openFile(config as FileConfig, deps) };
  },
};
