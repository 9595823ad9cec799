import type { StoreError, StoreFault } from '../stores/store.ts';
import { exit } from './failure.ts';

export interface Advice {
  readonly code: number;
  readonly problem: string;
  readonly hint?: string;
}

const said: Readonly<Record<StoreFault, readonly [code: number, problem: string]>> = {
  absent: [exit.negative, 'there is no such secret'],
  denied: [exit.refused, 'the store refused'],
  disabled: [exit.negative, 'the secret is disabled'],
  throttled: [exit.unreachable, 'the store asks us to wait'],
  unreachable: [exit.unreachable, 'the store gave no usable answer'],
  slow: [exit.unreachable, 'the store did not answer in time'],
  read_only: [exit.negative, 'this store takes no writes'],
  invalid: [exit.negative, 'the store cannot hold such a name or value'],
  damaged: [exit.negative, 'what is stored fails its integrity check'],
};

/** Steps that come before the store itself, and who it is then that refused. */
const before: Readonly<Record<string, string>> = {
  assertion: 'the ledger',
  identity: 'the platform',
  exchange: 'the token service',
  impersonate: 'the service account',
  login: 'the login',
};

/** What went wrong at a store in one line, with the exact step, reason, status and code, and what to do about it. */
export function adviceFor({ fault, facts }: StoreError, store: string): Advice {
  const [code, problem] = said[fault];
  const who = facts.step === undefined ? undefined : before[facts.step];
  const words =
    who === undefined
      ? problem
      : problem.replace(/^the store/, who).replace(/^there is.*/, `${who} knows nothing of us`);
  const exact = [
    facts.step === undefined ? undefined : `step ${facts.step}`,
    facts.reason,
    facts.status === undefined ? undefined : `status ${facts.status}`,
    facts.code,
  ].filter((fact) => fact !== undefined);
  const hint = hintFor(fault, facts, store);
  const detail = exact.length === 0 ? '' : ` (${exact.join(', ')})`;
  return { code, problem: `${words}${detail}`, ...(hint === undefined ? {} : { hint }) };
}

const reasons: Readonly<Record<string, string>> = {
  tls: 'its certificate is not trusted here: name its CA with ca, or set NODE_EXTRA_CA_CERTS',
  no_ca: 'the certificates that ca names could not be read: is the file there, in PEM?',
  no_such_host: 'the host of its URL is not known here',
  connection_refused: 'nothing listens at its URL',
  redirect: 'it answered with a redirect, which is never followed: write the final URL',
  clock_skew: 'the clock of this machine is wrong',
  session_over: 'what we were given had ended already: is the clock of this machine right?',
  ledger_unavailable: 'the ledger could not record and sign: is it this machine’s, and well?',
  lockdown: 'a lockdown stops every login to this store: it has to be lifted first',
  no_ledger_yet: 'it is needed before the ledger is open, and only the ledger could prove us to it',
  long_lived_key: 'the environment holds a long-lived key, which is never used: give the process a role',
  no_ambient_identity: 'this machine has no ambient identity: run it where the platform gives one',
};

function hintFor(fault: StoreFault, { step, reason }: StoreError['facts'], store: string): string | undefined {
  if (reason !== undefined && Object.hasOwn(reasons, reason)) return reasons[reason];
  const refused = fault === 'denied' || fault === 'invalid' || fault === 'absent';
  if (refused && (step === 'exchange' || step === 'login' || step === 'impersonate'))
    return `compare the other side with \`hallpass federation show ${store}\`: issuer, audience and subject must agree`;
  if (refused && step === 'assertion')
    return 'the ledger’s own config needs this store, and this broker’s role there its name in mint';
  if (fault === 'denied' && step === 'list')
    return 'we are logged in; to list names is a right of its own: try one secret with --secret NAME';
  if (fault === 'denied') return 'we are logged in; the store’s own policy lets us not read this';
  return undefined;
}
