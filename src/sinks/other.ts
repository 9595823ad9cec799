import { createHash } from 'node:crypto';
import { UpstreamError } from '../lib/upstream.ts';
import { step } from './post.ts';

/** What tells two texts of one name apart. */
export const shortHash = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex').slice(0, 16);

/** A log has one tree of each size: the one that was kept here, or this one, is not of ours. */
export const otherCheckpoint = (at: string = step): UpstreamError =>
  new UpstreamError('damaged', { step: at, reason: 'other_checkpoint' });

/**
 * Whether a place has said of a tree what it will say of it each time: it has another of that size, a larger one, or one that
 * this does not begin with.
 */
export const isForGood = (error: unknown): error is UpstreamError =>
  error instanceof UpstreamError &&
  (error.facts.reason === 'other_checkpoint' ||
    error.facts.reason === 'witness_is_ahead' ||
    (error.facts.step === 'witness' && error.facts.status === 422));
