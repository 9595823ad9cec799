import { parseDuration, parseInstant } from '../lib/time.ts';
import { exit, Failure } from './failure.ts';
import { shown } from './terminal.ts';

// What a server would refuse is refused before anything is sent, and before a token is looked for.

/** @throws Failure for what is no duration; undefined passes */
export const checkDuration = (option: string, text: string | undefined): void =>
  check(option, text, (one) => parseDuration(one) !== undefined, 'duration', 'such as 30m, 2h or 7d');

/** @throws Failure for what is no instant; undefined passes */
export const checkInstant = (option: string, text: string | undefined): void =>
  check(option, text, (one) => parseInstant(one) !== undefined, 'instant', 'such as 2026-11-22T12:00:00Z');

/** @throws Failure for what is no count; undefined passes */
export const checkCount = (option: string, text: string | undefined): void =>
  check(option, text, (one) => /^[1-9][0-9]{0,99}$/.test(one), 'number', `from 1 on, such as --${option} 20`);

/** @throws Failure for what names no identity, or any issuer's */
export const checkIdentity = (option: string, text: string): void =>
  check(
    option,
    text,
    (one) => /^[^*:]+:./.test(one),
    'identity',
    'its issuer, a colon, and who, such as ci:acme/shop@main',
  );

function check(
  option: string,
  text: string | undefined,
  fits: (text: string) => boolean,
  what: string,
  hint: string,
): void {
  if (text === undefined || fits(text)) return;
  throw new Failure(exit.usage, `--${option} ${JSON.stringify(shown(text))} is no ${what}`, hint);
}
