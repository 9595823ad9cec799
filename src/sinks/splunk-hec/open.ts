import { fromUtf8 } from '../../lib/bytes.ts';
import { trusting } from '../../lib/trust.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { recordOf, type SinkEntry } from '../entry.ts';
import { formats } from '../formats/index.ts';
import { post, step } from '../post.ts';
import type { Sink, SinkDeps } from '../sink.ts';
import type { SplunkConfig } from '../splunk-hec.ts';

/** Posts events one behind the other, as the collector wants them. */
export function openSplunk(config: SplunkConfig, deps: SinkDeps): Sink {
  const { url, token, index, format, sourcetype = `hallpass:${format}` } = config;
  const fetch = trusting(config.ca, deps);
  const collector = `${url.replace(/\/$/, '')}/services/collector/event`;

  const eventOf = (entry: SinkEntry): string => {
    const { time, writer } = recordOf(entry);
    const placed = { time: Date.parse(time) / 1000, host: writer.instance, source: entry.log, sourcetype, index };
    return `${JSON.stringify(placed).slice(0, -1)},"event":${formats[format](entry)}}`;
  };

  return {
    async deliver(entries, deadline) {
      const authorization = `Splunk ${(await deps.read(token, deadline)).value.revealText().trim()}`;
      const headers = { authorization, 'content-type': 'application/json' };
      const { body } = await post(fetch, collector, { headers, body: entries.map(eventOf).join('\n') }, deadline);
      if (!isSuccess(body)) throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
    },
  };
}

/** It says so itself: what stands in front of it may answer 200 to anything. */
function isSuccess(body: Uint8Array): boolean {
  try {
    return (JSON.parse(fromUtf8(body)) as { code?: unknown }).code === 0;
  } catch {
    return false;
  }
}
