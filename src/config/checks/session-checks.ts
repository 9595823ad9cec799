import { kinds } from '../../credentials/index.ts';
import type { Fault } from '../../lib/fault.ts';
import { Refusal } from '../../lib/refusal.ts';
import { isJsonObject, type Json } from '../../lib/strict-json.ts';
import { isLoopbackHost } from '../../lib/url.ts';
import { subjectOf } from '../../sessions/assertion.ts';
import type { AssertionTerms } from '../../sessions/session.ts';
import { sinks as sinkKinds } from '../../sinks/index.ts';
import { stores as storeKinds } from '../../stores/index.ts';
import type { Entry } from '../config.ts';
import type { Report } from '../sections/entries.ts';
import { sameService } from './audiences.ts';
import { isForeign, refsIn, type Written } from './cross-checks.ts';

type Entries = Readonly<Record<string, Entry>>;

/** The sections whose entries may log in somewhere. */
type Sections = Readonly<Record<Exclude<Login['section'], 'ledger'>, Entries>>;

/** A store, a credential, a sink or the archive that Hallpass proves itself for, by assertions that its ledger signs. */
interface Login {
  readonly section: 'stores' | 'credentials' | 'sinks' | 'ledger';
  readonly name: string;
  readonly entry: Entry & { readonly [where in 'address' | 'server' | 'sts' | 'authority']?: unknown };
  /** Of its assertions. */
  readonly audience: string;
}

/** What goes wrong only because Hallpass proves itself by assertions that its ledger signs. */
export function checkSessions(written: Written, { stores, credentials, sinks }: Sections, report: Report): void {
  const logins = [
    ...loginsOf('stores', stores, storeKinds),
    ...loginsOf('credentials', credentials, kinds),
    ...loginsOf('sinks', sinks, sinkKinds),
    ...loginsOf('ledger', archiveOf(written), sinkKinds),
  ];
  if (logins.length === 0) return;
  checkSubject(written, report);
  checkPurposes(written, logins, report);
  checkTokens(written, logins, report);
  checkReceivers(logins, report);
  checkOrder(written, logins, report);
}

interface Kind {
  readonly name: string;
  readonly assertion?: (config: unknown) => AssertionTerms | undefined;
}

const loginsOf = (section: Login['section'], entries: Entries, catalog: readonly Kind[]): Login[] =>
  Object.entries(entries).flatMap(([name, entry]) => {
    const terms = catalog.find((kind) => kind.name === entry.kind)?.assertion?.(entry);
    return terms === undefined ? [] : [{ section, name, entry, audience: terms.audience }];
  });

function checkSubject({ broker }: Written, report: Report): void {
  if (typeof broker.url !== 'string') return;
  try {
    subjectOf(broker.url);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const message = 'the subject of our assertions, broker:HOST, has at most 127 characters: this host is too long';
    report({ path: ['broker', 'url'], message });
  }
}

/** A token for one purpose is refused by every other: two purposes never share an audience. */
function checkPurposes({ broker, ledger, issuers }: Written, logins: readonly Login[], report: Report): void {
  const audienceOf = (entry: Json) => (isJsonObject(entry) ? entry.audience : undefined);
  // One that is a cloud's was refused where it is written.
  const audiences = [broker, ...Object.values(issuers)].map(audienceOf).filter((text) => !isForeign(text));
  const doors = [broker.url, ledger.url, ...audiences];
  for (const { section, name, audience } of logins) {
    if (!doors.some((door) => typeof door === 'string' && sameService(door, audience))) continue;
    const message = `what proves us to ${name} would open a door of Hallpass itself: they share an audience`;
    report({ path: [section, name], message, hint: `give this ${nouns[section]} an audience of its own` });
  }
}

/** A bucket that closed logs go to is logged in to as one of a sink. */
const archiveOf = ({ ledger: { archive } }: Written): Entries =>
  isJsonObject(archive) ? { archive: { ...archive, kind: 's3' } } : {};

const nouns = { stores: 'store', credentials: 'credential', sinks: 'sink', ledger: 'archive' } as const;

/** What a workload is given is not for whom Hallpass proves itself to; for stores and known services that is checked of all texts. */
function checkTokens({ credentials }: Written, logins: readonly Login[], report: Report): void {
  const told = new Set(logins.filter(({ section }) => section === 'stores').map(({ audience }) => audience));
  const audiences = logins.map(({ audience }) => audience).filter((audience) => !told.has(audience));
  for (const [name, entry] of Object.entries(credentials)) {
    const audience = isJsonObject(entry) && entry.kind === 'jwt' ? entry.audience : undefined;
    if (typeof audience !== 'string' || isForeign(audience)) continue;
    if (!audiences.some((text) => sameService(text, audience))) continue;
    const message = 'a jwt for the target of a credential could be used as Hallpass itself';
    report({ path: ['credentials', name, 'audience'], message, hint: 'name the service that checks this token' });
  }
}

/** Who is shown an assertion must not be able to show it to another: what has one audience has one address. */
function checkReceivers(logins: readonly Login[], report: Report): void {
  const firsts = new Map<string, Login>();
  for (const login of logins) {
    const { section, name, audience } = login;
    const first = firsts.get(audience) ?? login;
    firsts.set(audience, first);
    if (receiverOf(first) === receiverOf(login)) continue;
    const message = `what proves us to ${name} would prove us to ${first.name} as well: they share an audience`;
    report({ path: [section, name], message, hint: 'give one of them an audience of its own' });
  }
}

/** A cloud's token service is one for all that begins with its name (`aws-secrets-manager`, `aws-role`), at its own hosts. */
const receiverOf = ({ entry: { kind, address, server, sts, authority } }: Login) =>
  JSON.stringify([kind === 's3' ? ['aws'] : kind.split('-', 1), address, server, strangerAt(sts ?? authority)]);

const clouds = /(^|\.)(amazonaws\.com(\.cn)?|amazonaws\.eu|googleapis\.com|microsoftonline\.(com|us|cn))$/;

/** Who stands in for a cloud's token service: not the cloud itself by a private endpoint, and nobody on this machine. */
function strangerAt(url: unknown): string | undefined {
  if (typeof url !== 'string' || !URL.canParse(url)) return undefined;
  const { hostname, origin } = new URL(url);
  return clouds.test(hostname) || isLoopbackHost(hostname) ? undefined : origin;
}

/** What is read before the ledger is open cannot be in a store that only the ledger can prove us to. */
function checkOrder({ broker, ledger, stores }: Written, logins: readonly Login[], report: Report): void {
  const late = new Set(logins.filter(({ section }) => section === 'stores').map(({ name }) => name));
  // A store whose own key is in such a store is one too; as many rounds as there are stores are enough.
  const opened = Object.entries(stores).map(([name, entry]) => ({ name, refs: refsIn(entry, []) }));
  for (const _ of opened)
    for (const { name, refs } of opened) if (refs.some(({ store }) => late.has(store))) late.add(name);
  const early: [Json, Fault['path']][] = [
    [broker.signer ?? null, ['broker', 'signer']],
    [ledger, ['ledger']],
  ];
  for (const [value, at] of early)
    for (const { path, store } of refsIn(value, at)) {
      if (!late.has(store)) continue;
      const message = `this is needed before the ledger is open, and only the ledger can prove us to the store ${store}`;
      report({ path: [...path, 'store'], message, hint: 'keep it in a store that the platform’s own identity opens' });
    }
}
