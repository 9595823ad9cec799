import { UpstreamError } from '../../lib/upstream.ts';
import { ndjson } from '../formats/index.ts';
import type { FormatName } from '../formats/names.ts';
import { step } from '../post.ts';
import type { Sink, SinkDeps } from '../sink.ts';
import type { StdoutConfig } from '../stdout.ts';

/** Of what is logged in one event a Worker keeps 256 KB, and drops the rest; as OCSF a short record is six times as long. */
const eventChars = (format: FormatName): number => (format === 'ocsf' ? 32_000 : 64_000);

/** Delivered is what the operating system (or the platform) took; whether somebody reads it, nobody knows here. */
export function openStdout({ format }: Pick<StdoutConfig, 'format'>, { runtime }: Pick<SinkDeps, 'runtime'>): Sink {
  // The write that fails is told; the stream itself would end a process that does not listen.
  if (runtime !== 'workerd' && process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => {});
  return {
    ...(runtime === 'workerd' && { mostChars: eventChars(format) }),
    async deliver(entries) {
      const lines = ndjson(format, entries);
      // A Worker's console takes whole lines.
      if (runtime === 'workerd') for (const line of lines.trimEnd().split('\n')) console.log(line);
      else await written(lines);
    },
  };
}

const written = (text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    // Whoever reads is behind: what waits already comes first, and nothing is heaped upon it.
    if (process.stdout.writableLength > 0) throw new UpstreamError('slow', { step, reason: 'stdout_full' });
    process.stdout.write(text, (error) => {
      if (error) reject(new UpstreamError('unreachable', { step, reason: 'stdout_closed', cause: error }));
      else resolve();
    });
  });
