import { KeyError } from './private-key.ts';

/** The longest life of an assertion and the skew that is granted to it, milliseconds. */
export const tokenMs = (300 + 60) * 1000;
/** How soon every process has heard of a new key, milliseconds. */
export const noticedMs = 5 * 60_000;
/** What is held at most, and published. */
export const maxKeys = 4;
/** A key made this long ago is past its rotation, whatever `broker.announce` says short of a day; milliseconds. */
export const settledMs = 60 * 60_000;

export const rotatingStill = (): KeyError =>
  new KeyError('a rotation is under way: the key made last is younger than an hour');
