import { sha256Url, toUtf8 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { trusting } from '../../lib/trust.ts';
import { recordOf, type SinkEntry } from '../entry.ts';
import { formats, ndjson } from '../formats/index.ts';
import type { FormatName } from '../formats/names.ts';
import type { HttpSinkConfig } from '../http.ts';
import { shortHash } from '../other.ts';
import { post, readHeaders } from '../post.ts';
import type { Sink, SinkDeps } from '../sink.ts';
import { signWebhook } from './signature.ts';

const types: Readonly<Record<FormatName, string>> = {
  native: 'application/x-ndjson',
  ocsf: 'application/x-ndjson',
  cloudevents: 'application/cloudevents-batch+json',
};

/** Posts batches; the id of a call is the same when the same entries are sent again. */
export function openHttpSink(config: HttpSinkConfig, deps: SinkDeps): Sink {
  const { url, key, headers, format } = config;
  const fetch = trusting(config.ca, deps);

  async function send(id: string, type: string, body: string, deadline: Deadline): Promise<void> {
    const secrets = await readHeaders(headers, deps.read, deadline);
    const signature =
      key === undefined ? {} : signWebhook((await deps.read(key, deadline)).value, id, body, deps.now());
    await post(
      fetch,
      url,
      { headers: { ...secrets, 'content-type': type, 'webhook-id': id, ...signature }, body },
      deadline,
    );
  }

  return {
    deliver: (entries, deadline) => send(idOf(entries), types[format], bodyOf(format, entries), deadline),
    async publish({ log, size, note }, deadline) {
      // Whoever drops what it has had must not drop another checkpoint of the same size.
      const id = `checkpoint_${sha256Url(log).slice(0, 16)}_${size}_${shortHash(toUtf8(note))}`;
      await send(id, 'text/plain; charset=utf-8', note, deadline);
      return undefined;
    },
  };
}

const bodyOf = (format: FormatName, entries: readonly SinkEntry[]): string =>
  format === 'cloudevents' ? `[${entries.map(formats.cloudevents).join()}]` : ndjson(format, entries);

function idOf(entries: readonly SinkEntry[]): string {
  const [first, last] = [entries[0], entries.at(-1)] as [SinkEntry, SinkEntry];
  return `records_${recordOf(first).id}_${recordOf(last).id}`;
}
