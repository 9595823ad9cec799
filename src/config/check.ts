import { kinds } from '../credentials/index.ts';
import type { IssuerShape } from '../lib/issuer-shape.ts';
import type { Runtime } from '../lib/platform.ts';
import { isJsonObject, type Json, type JsonObject } from '../lib/strict-json.ts';
import { sinks } from '../sinks/index.ts';
import { stores } from '../stores/index.ts';
import { crossCheck, storesOpenedBy } from './checks/cross-checks.ts';
import { checkIdleMembers } from './checks/idle-members.ts';
import { checkReplicas } from './checks/replica-checks.ts';
import { checkSecretNames } from './checks/secret-names.ts';
import { checkSessions } from './checks/session-checks.ts';
import { checkShards } from './checks/shard-checks.ts';
import type { Config } from './config.ts';
import { checkBroker } from './sections/broker.ts';
import { type Catalog, checkEntry, checkNamed, checkShape, holdsKey, type Report } from './sections/entries.ts';
import { checkLedger } from './sections/ledger.ts';
import { checkIssuer, checkPolicy } from './sections/policy.ts';
import { limitsOf, limitsSchema, sectionNames } from './sections/sections.ts';
import { checkResources } from './sections/targets.ts';
import { findSecrets, scrubber } from './text/hidden.ts';
import { type Finding, unknownName } from './text/issues.ts';
import { expandVariables } from './text/variables.ts';

export interface CheckOptions {
  /** What problems call the config. */
  readonly file: string;
  readonly runtime: Runtime;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What relative paths count from; absent where there is no file system. */
  readonly folder?: string;
}

export interface Checked {
  /** Absent when there is an error among the findings. */
  readonly config?: Config;
  readonly findings: readonly Finding[];
  /** Makes a text fit to be shown; the findings' own words are. */
  readonly scrub: (text: string) => string;
}

/** Finds everything that is wrong with a parsed config. */
export async function checkValue(written: JsonObject, options: CheckOptions): Promise<Checked> {
  const { value, faults, incomplete, taken } = expandVariables(written, options.env);
  const secrets = findSecrets(value, (path) => isLoginKey(value as JsonObject, path));
  const found: Finding[] = [...faults, ...secrets.findings];
  const untold = new Set(incomplete.map((path) => path.join('\0')));
  const config = await checkSections(value as JsonObject, options, (...more) => {
    found.push(...more.filter(({ path }) => !untold.has(path.join('\0'))));
  });
  const scrub = scrubber(secrets.texts, taken);
  const findings = told(found, scrub);
  const wrong = findings.some(({ warning }) => warning !== true);
  return wrong || config === undefined ? { findings, scrub } : { config, findings, scrub };
}

/** Sections where a member may sound like a key that one would log in with. */
const loginCatalogs: Readonly<Record<string, Catalog>> = { stores, sinks };

/** A key that one would log in to a store or a sink with: its member is told as one that there is not, with what to do instead. */
function isLoginKey(value: JsonObject, [section, name = '', member = '']: Finding['path']): boolean {
  const catalog = Object.hasOwn(loginCatalogs, String(section)) ? (loginCatalogs[String(section)] as Catalog) : [];
  const entries = value[String(section)];
  const entry = isJsonObject(entries) ? entries[name] : undefined;
  const kind = isJsonObject(entry) ? entry.kind : undefined;
  return holdsKey(catalog.find((plugIn) => plugIn.name === kind)?.never, String(member));
}

async function checkSections(value: JsonObject, options: CheckOptions, report: Report): Promise<Config | undefined> {
  const { runtime } = options;
  for (const name of Object.keys(value)) {
    if (!(sectionNames as readonly string[]).includes(name)) report(unknownName([name], sectionNames));
  }
  const shapes: Record<string, IssuerShape> = {};
  const broker = checkBroker(value.broker, value.ledger, runtime, report);
  const ledger = checkLedger(value.ledger, broker?.url, runtime, report);
  const issuers = checkNamed(value.issuers, 'issuers', report, (entry, [section, name]) =>
    checkIssuer(entry, [section, name] as [string, string], shapes, report),
  );
  const named = (section: string, catalog: Catalog) =>
    checkNamed(value[section], section, report, (entry, path) => checkEntry(entry, path, catalog, runtime, report));
  const checkedStores = named('stores', stores);
  const credentials = named('credentials', kinds);
  const checkedSinks = named('sinks', sinks);
  const limits = checkLimits(value.limits, report);
  const written = (section: string) => (isJsonObject(value[section]) ? value[section] : {});
  const sections = {
    broker: written('broker'),
    ledger: written('ledger'),
    issuers: written('issuers'),
    stores: written('stores'),
    credentials: written('credentials'),
    roles: written('roles'),
    grants: Array.isArray(value.grants) ? value.grants : [],
    sinks: written('sinks'),
  };
  crossCheck(sections, options, report);
  checkSessions(sections, { stores: checkedStores, credentials, sinks: checkedSinks }, report);
  checkReplicas(sections, checkedStores, report);
  checkShards(sections, report);
  // Few have a standby, or rotate what a store keeps, and a Worker's first code is to be small.
  if (sections.ledger.confirm !== undefined || sections.ledger.follow !== undefined)
    (await import('./checks/standby-checks.ts')).checkStandbys(sections, options.runtime, report);
  checkIdleMembers(sections, report);
  if (Object.values(credentials).some((entry) => 'rotate' in entry))
    (await import('./checks/rotation-checks.ts')).checkRotation(checkedStores, credentials, runtime, report);
  checkSecretNames(sections, checkedStores, report);
  checkResources(written('credentials'), report);
  const policyInput = {
    issuers: written('issuers'),
    credentials: written('credentials'),
    ...(value.roles === undefined ? {} : { roles: written('roles') }),
    ...(value.grants === undefined ? {} : { grants: Array.isArray(value.grants) ? value.grants : [] }),
  };
  const storesOfPolicy = { stores: Object.keys(sections.stores), openedBy: storesOpenedBy(sections.stores) };
  const policy = await checkPolicy(value, policyInput, storesOfPolicy, shapes, report);
  if (broker === undefined || ledger === undefined || limits === undefined || policy === undefined) return undefined;
  return {
    broker,
    ledger,
    issuers,
    stores: checkedStores,
    credentials,
    sinks: checkedSinks,
    limits,
    policyInput,
    policy,
  };
}

function checkLimits(value: Json | undefined, report: Report): Config['limits'] | undefined {
  const written = value === undefined ? {} : checkShape(limitsSchema, value, ['limits'], report);
  const limits = written && limitsOf(written);
  if (limits !== undefined && limits.undoMs >= limits.requestMs) {
    report({ path: ['limits', 'undo'], message: 'undo is kept back of request and must be shorter' });
  }
  return limits;
}

/** Each finding once, in words that repeat no secret. */
function told(findings: readonly Finding[], scrub: (text: string) => string): Finding[] {
  const seen = new Set<string>();
  return findings.flatMap((finding) => {
    const key = `${finding.path.join('\0')}\0${finding.message}`;
    if (seen.has(key)) return [];
    seen.add(key);
    const hint = finding.hint === undefined ? {} : { hint: scrub(finding.hint) };
    return [{ ...finding, message: scrub(finding.message), ...hint }];
  });
}
