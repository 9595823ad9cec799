import * as z from 'zod/mini';
import { batchSchema, checkpointMembers, everySchema, formatSchema, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('file'),
    /** The file, or for checkpoints the folder. */
    path: z.string().check(z.minLength(1), z.maxLength(4096)),
    format: formatSchema(),
    batch: batchSchema(),
    /** A file is put aside when it is of another day (UTC), or has so many bytes. */
    rotate: z.optional(
      z.union([z.literal('daily'), z.int().check(z.minimum(1_048_576), z.maximum(1_099_511_627_776))]),
    ),
    ...recordMembers(),
    ...checkpointMembers(),
    every: everySchema(),
  }),
);

export type FileConfig = z.infer<typeof schema>;

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
