import { fromUtf8, toBase64 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { trusting } from '../../lib/trust.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { post } from '../post.ts';
import type { Sink, SinkCheckpoint, SinkDeps } from '../sink.ts';
import type { WitnessConfig } from '../witness.ts';
import { type Cosigner, cosignatureIn, cosignerOf } from './cosignature.ts';

const step = 'witness';

/** Asks a witness for its cosignature (C2SP tlog-witness, add-checkpoint) and believes none that does not verify. */
export function openWitness(config: WitnessConfig, deps: SinkDeps): Sink {
  const cosigner = cosignerOf(config.key) as Cosigner;
  const fetch = trusting(config.ca, deps);
  const url = `${config.url.replace(/\/$/, '')}/add-checkpoint`;

  async function ask(checkpoint: SinkCheckpoint, old: number, deadline: Deadline) {
    // Every tree begins with the empty one, and with itself.
    const trivial = old === 0 || old === checkpoint.size;
    const proof = trivial ? [] : await checkpoint.prove(old, deadline);
    const body = `old ${old}\n${proof.map((hash) => `${toBase64(hash)}\n`).join('')}\n${checkpoint.note}`;
    return post(fetch, url, { headers: { 'content-type': 'text/plain; charset=utf-8' }, body }, deadline, [409]);
  }

  return {
    async publish(checkpoint, deadline) {
      const { size, note } = checkpoint;
      let answer = await ask(checkpoint, Math.min(checkpoint.known, size), deadline);
      if (answer.status === 409) {
        // It knows another size than we remember, and says which.
        const known = sizeOf(answer.body);
        if (known > size) throw new UpstreamError('invalid', { step, status: 409, reason: 'witness_is_ahead' });
        answer = await ask(checkpoint, known, deadline);
        if (answer.status === 409) throw new UpstreamError('throttled', { step, status: 409, reason: 'witness_moves' });
      }
      const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
      const line = cosignatureIn(textOf(answer.body), text, cosigner, deps.now());
      if (line === undefined) throw new UpstreamError('damaged', { step, reason: 'bad_cosignature' });
      return `${note}${line}\n`;
    },
  };
}

function sizeOf(body: Uint8Array): number {
  const [, digits] = /^(0|[1-9][0-9]{0,15})\n$/.exec(textOf(body)) ?? [];
  const size = Number(digits);
  if (!Number.isSafeInteger(size)) throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
  return size;
}

function textOf(body: Uint8Array): string {
  try {
    return fromUtf8(body);
  } catch {
    throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
  }
}
