import { createHash } from 'node:crypto';
import { UpstreamError } from '../lib/upstream.ts';
import { step } from './post.ts';

/** What tells two texts of one name apart. */
export const shortHash = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex').slice(0, 16);

/** A log has one tree of each size: the one that was kept here, or this one, is not of ours. */
export const otherCheckpoint = (): UpstreamError => new UpstreamError('damaged', { step, reason: 'other_checkpoint' });
