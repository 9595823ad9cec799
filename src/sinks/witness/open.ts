import { fromUtf8, toBase64 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { trusting } from '../../lib/trust.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { otherCheckpoint } from '../other.ts';
import { type Posted, post } from '../post.ts';
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
      const old = Math.min(checkpoint.known, size);
      let answer = await ask(checkpoint, old, deadline);
      if (answer.status === 409) {
        const known = knownBy(answer, old, size);
        answer = await ask(checkpoint, known, deadline);
        if (answer.status === 409) {
          knownBy(answer, known, size);
          throw new UpstreamError('throttled', { step, status: 409, reason: 'witness_moves' });
        }
      }
      const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
      const line = cosignatureIn(textOf(answer.body), text, cosigner, deps.now());
      if (line === undefined) throw new UpstreamError('damaged', { step, reason: 'bad_cosignature' });
      return `${note}${line}\n`;
    },
  };
}

/**
 * Which size it knows, that was asked to go on from `old`: another than we remember, and it says which. Where it is `size`
 * itself, the root is another.
 *
 * @throws UpstreamError
 */
function knownBy({ body }: Pick<Posted, 'body'>, old: number, size: number): number {
  const known = sizeIn(body);
  if (old === size && (known === undefined || known === size)) throw otherCheckpoint(step);
  if (known === undefined) throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
  if (known > size) throw new UpstreamError('invalid', { step, status: 409, reason: 'witness_is_ahead' });
  return known;
}

function sizeIn(body: Uint8Array): number | undefined {
  const [, digits] = /^(0|[1-9][0-9]{0,15})\n$/.exec(textOf(body)) ?? [];
  return Number.isSafeInteger(Number(digits)) ? Number(digits) : undefined;
}

function textOf(body: Uint8Array): string {
  try {
    return fromUtf8(body);
  } catch {
    throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
  }
}
