import type { StoreError, StoreFault } from '../../stores/store.ts';
import { exit } from '../failure.ts';

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

/**
 * What went wrong at a store in one line, with the exact step, reason, status and code, and what to do about it.
 * `asked` is the origin that was asked last, where it is known.
 */
export function adviceFor({ fault, facts }: StoreError, store: string, asked?: string): Advice {
  const [code] = said[fault];
  const silent = fault === 'unreachable' || fault === 'slow';
  const exact = [
    facts.step === undefined ? undefined : `step ${facts.step}`,
    facts.reason,
    facts.status === undefined ? undefined : `status ${facts.status}`,
    facts.code,
    facts.file,
    silent && !isUnasked(facts.reason) ? asked : undefined,
  ].filter((fact) => fact !== undefined);
  const hint = hintFor(fault, facts, store);
  const detail = exact.length === 0 ? '' : ` (${exact.join(', ')})`;
  return { code, problem: `${wordsFor(fault, facts)}${detail}`, ...(hint === undefined ? {} : { hint }) };
}

function wordsFor(fault: StoreFault, { step, reason }: StoreError['facts']): string {
  const [, problem] = said[fault];
  if (isUnasked(reason)) return 'no login was tried';
  const who = step === undefined ? undefined : before[step];
  if (who === undefined) return problem;
  return problem.replace(/^the store/, who).replace(/^there is.*/, `${who} knows nothing of us`);
}

/** Where nobody was shown anything yet: what is missing is on this side. */
const unasked: Readonly<Record<string, string>> = {
  no_identity: 'no role, no tokenFile, and this is no cluster: nothing to log in with',
  no_ambient_identity:
    'this platform gives no identity, or does not say so: a plain VM needs GCE_METADATA_HOST=metadata.google.internal, AWS_EC2_METADATA_SERVICE_ENDPOINT=http://169.254.169.254 or, in Azure, identity: system',
  no_token: 'the file of the token is not there, or holds no token',
  static_token: 'the token in the file never ends: only one with an end is taken',
  no_file_system: 'here is no file system that a token could be read from',
  long_lived_key: 'the environment holds a long-lived key, which is never used: give the process a role',
  bad_variable: 'a variable that says where the platform’s identity is does not have the form it should',
  unsupported_platform: 'the identity of this platform cannot be used',
};

const isUnasked = (reason: string | undefined): boolean => reason !== undefined && Object.hasOwn(unasked, reason);

const other = 'something else answers at its URL, or something stands in front of it: is this the right host and port?';
const silence =
  'nothing came back in time: are host and port right, is a firewall between? limits.store says how long is waited';
const wrongKey =
  'is the key that signs published at the issuer’s JWKS? A copy of the config on another machine has other keys';

/** By reason, or by the other side's own code. */
const reasons: Readonly<Record<string, string>> = {
  ...unasked,
  tls: 'its certificate is not trusted here: name its CA with ca, or set NODE_EXTRA_CA_CERTS',
  no_ca: 'the certificates that ca names could not be read: is the file there, in PEM?',
  no_such_host: 'the host of its URL is not known here',
  connection_refused: 'nothing listens at its URL',
  connection_reset: 'it cut the connection: does it speak https at an http URL, or is a proxy between?',
  connect_timeout: silence,
  timeout: silence,
  redirect: 'it answered with a redirect, which is never followed: write the final URL',
  not_json: other,
  not_understood: other,
  unexpected_answer: other,
  bad_answer: other,
  not_a_metadata_server: 'what answers at the metadata server’s address is none',
  wrong_signature: wrongKey,
  untrusted_key: wrongKey,
  clock_skew: 'the clock of this machine is wrong',
  session_over: 'what we were given had ended already: is the clock of this machine right?',
  ledger_unavailable: 'the ledger could not record and sign: is it this machine’s, and well?',
  no_ledger_yet: 'it is needed before the ledger is open, and only the ledger could prove us to it',
};

function hintFor(fault: StoreFault, facts: StoreError['facts'], store: string): string | undefined {
  const { step, reason, status } = facts;
  const known = [reason, facts.code].find((word) => word !== undefined && Object.hasOwn(reasons, word));
  if (known !== undefined) return reasons[known];
  if (fault === 'slow') return silence;
  const refused = fault === 'denied' || fault === 'invalid' || fault === 'absent';
  const atLogin = step === 'exchange' || step === 'login' || step === 'impersonate';
  if (refused && (atLogin || reason === 'login_refused') && status !== undefined)
    return `compare the other side with \`hallpass federation show ${store}\`: issuer, audience and subject must agree`;
  if (refused && step === 'assertion')
    return 'the ledger’s own config needs this store, and this broker’s role there its name in mint';
  if (fault === 'denied' && step === 'list')
    return 'we are logged in; to list names is a right of its own: try one secret with --secret NAME';
  if (fault === 'denied' && !atLogin && step !== 'identity')
    return 'we are logged in; the store’s own policy lets us not read this';
  return undefined;
}
