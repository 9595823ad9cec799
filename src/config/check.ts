import type { $ZodType } from 'zod/v4/core';
import { kinds } from '../credentials/index.ts';
import { presetOf, presets } from '../identity/index.ts';
import { signers } from '../keys/index.ts';
import { ledgerDrivers } from '../ledger/index.ts';
import type { Fault } from '../lib/fault.ts';
import type { IssuerShape } from '../lib/issuer-shape.ts';
import type { Runtime } from '../lib/platform.ts';
import { isJsonObject, type Json, type JsonObject } from '../lib/strict-json.ts';
import { compilePolicy } from '../policy/compile.ts';
import type { Policy } from '../policy/policy.ts';
import { grantSchema, roleSchema } from '../policy/schema.ts';
import { stores } from '../stores/index.ts';
import type { Config, Entry } from './config.ts';
import { crossCheck } from './cross-checks.ts';
import {
  type Catalog,
  checkEntry,
  checkNamed,
  checkPlugIn,
  checkShape,
  meant,
  type Report,
  salvage,
} from './entries.ts';
import { findSecrets, scrubber } from './hidden.ts';
import { type Finding, typeName, unknownName } from './issues.ts';
import { brokerSchema, limitsOf, limitsSchema, sectionNames } from './sections.ts';
import { expandVariables } from './variables.ts';

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
  const { value, faults, taken } = expandVariables(written, options.env);
  const secrets = findSecrets(value);
  const found: Finding[] = [...faults, ...secrets.findings];
  const config = await checkSections(value as JsonObject, options, (...more) => found.push(...more));
  const scrub = scrubber(secrets.texts, taken);
  const findings = told(found, scrub);
  const wrong = findings.some(({ warning }) => warning !== true);
  return wrong || config === undefined ? { findings, scrub } : { config, findings, scrub };
}

async function checkSections(value: JsonObject, options: CheckOptions, report: Report): Promise<Config | undefined> {
  const { runtime } = options;
  for (const name of Object.keys(value)) {
    if (!(sectionNames as readonly string[]).includes(name)) report(unknownName([name], sectionNames));
  }
  const shapes: Record<string, IssuerShape> = {};
  const broker = checkBroker(value.broker, runtime, report);
  const ledger = checkLedger(value.ledger, broker?.url, runtime, report);
  const issuers = checkNamed(value.issuers, 'issuers', report, (entry, [section, name]) =>
    checkIssuer(entry, [section, name] as [string, string], shapes, report),
  );
  const named = (section: string, catalog: Catalog) =>
    checkNamed(value[section], section, report, (entry, path) => checkEntry(entry, path, catalog, runtime, report));
  const checkedStores = named('stores', stores);
  const credentials = named('credentials', kinds);
  const limits = checkLimits(value.limits, report);
  const written = (section: string) => (isJsonObject(value[section]) ? value[section] : {});
  crossCheck(
    {
      broker: written('broker'),
      ledger: written('ledger'),
      issuers: written('issuers'),
      stores: written('stores'),
      credentials: written('credentials'),
    },
    options,
    report,
  );
  const policyInput = {
    issuers: written('issuers'),
    credentials: written('credentials'),
    ...(value.roles === undefined ? {} : { roles: written('roles') }),
    ...(value.grants === undefined ? {} : { grants: Array.isArray(value.grants) ? value.grants : [] }),
  };
  const policy = await checkPolicy(value, policyInput, Object.keys(written('stores')), shapes, report);
  if (broker === undefined || ledger === undefined || limits === undefined || policy === undefined) return undefined;
  return { broker, ledger, issuers, stores: checkedStores, credentials, limits, policyInput, policy };
}

function checkBroker(value: Json | undefined, runtime: Runtime, report: Report): Config['broker'] | undefined {
  if (value === undefined) report({ path: ['broker'], message: 'broker is missing', hint: 'it needs url and signer' });
  const broker = value === undefined ? undefined : checkShape(brokerSchema, value, ['broker'], report);
  const written = isJsonObject(value) ? value.signer : undefined;
  const signer: (Entry | undefined)[] = [];
  if (isJsonObject(value) && written === undefined) {
    report({
      path: ['broker', 'signer'],
      message: 'signer is missing',
      hint: 'such as signer: { kind: local, path: ./keys }',
    });
  } else if (Array.isArray(written)) {
    if (written.length === 0) report({ path: ['broker', 'signer'], message: 'expected at least 1 entries' });
    signer.push(...written.map((entry, at) => checkEntry(entry, ['broker', 'signer', at], signers, runtime, report)));
  } else if (written !== undefined) {
    signer.push(checkEntry(written, ['broker', 'signer'], signers, runtime, report));
  }
  if (broker === undefined) return undefined;
  const { url, audience = url, secret, explain } = broker;
  return {
    url,
    audience,
    signer: signer.filter((entry) => entry !== undefined),
    ...(secret === undefined ? {} : { secret: Array.isArray(secret) ? secret : [secret] }),
    explain,
  };
}

function checkLedger(
  value: Json | undefined,
  url: string | undefined,
  runtime: Runtime,
  report: Report,
): Config['ledger'] | undefined {
  if (value === undefined) {
    report({
      path: ['ledger'],
      message: 'ledger is missing',
      hint: 'no record, no secret: without a ledger no broker starts',
    });
    return undefined;
  }
  // The rest of this entry may be fine; its seed is told by the cross checks in words of its own.
  const entry = checkEntry(withoutSeed(value), ['ledger'], ledgerDrivers, runtime, report);
  if (entry === undefined || url === undefined) return undefined;
  const origin = typeof entry.origin === 'string' ? entry.origin : defaultOrigin(entry, url);
  if (!originPattern.test(origin)) {
    const message = 'an origin is 1 to 255 printable characters without spaces or "+"';
    report({ path: ['ledger', 'origin'], message, hint: 'such as ledger.example.com/log' });
  }
  return { ...entry, origin, public: entry.public === true };
}

// As C2SP signed notes want a key's name.
const originPattern = /^[\x21-\x2a\x2c-\x7e]{1,255}$/;

function defaultOrigin(entry: Entry, url: string): string {
  if (entry.kind === 'http') return String(entry.key).split('+', 1)[0] ?? '';
  return `${url.replace(/^https?:\/\//, '')}/ledger`;
}

function withoutSeed(value: Json): Json {
  if (!isJsonObject(value) || value.kind !== 'http') return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== 'seed'));
}

function checkIssuer(
  entry: Json,
  path: [string, string],
  shapes: Record<string, IssuerShape>,
  report: Report,
): JsonObject | undefined {
  if (!isJsonObject(entry)) {
    report({
      path,
      message: `expected a mapping, got ${typeName(entry)}`,
      hint: 'such as { preset: github-actions, ... }',
    });
    return undefined;
  }
  if (path[1] === 'self')
    report({ path, name: true, message: 'self stands for Hallpass itself', hint: 'choose another name' });
  const preset = presetOf(entry);
  if (preset === undefined) {
    const names = presets.map(({ name }) => name);
    const message = `there is no preset ${JSON.stringify(entry.preset)}`;
    report({ path: [...path, 'preset'], message, hint: meant(String(entry.preset), names) });
    return undefined;
  }
  shapes[path[1]] = preset.shape;
  return checkPlugIn(preset, entry, path, report) as JsonObject | undefined;
}

function checkLimits(value: Json | undefined, report: Report): Config['limits'] | undefined {
  const written = checkShape(limitsSchema, value === undefined ? {} : value, ['limits'], report);
  const limits = written && limitsOf(written);
  if (limits !== undefined && limits.undoMs >= limits.requestMs) {
    report({ path: ['limits', 'undo'], message: 'undo is kept back of request and must be shorter' });
  }
  return limits;
}

async function checkPolicy(
  value: JsonObject,
  input: Config['policyInput'],
  storeNames: readonly string[],
  shapes: Readonly<Record<string, IssuerShape>>,
  report: Report,
): Promise<Policy | undefined> {
  const broken = new Set<string>();
  // What is sound of a wrong entry is compiled all the same, so that the names in it are checked too.
  const sound = (schema: $ZodType, entry: Json, path: Fault['path']): Json => {
    if (checkShape(schema, entry, path, report) !== undefined) return entry;
    broken.add(path.join('\0'));
    return (salvage(schema, entry) ?? entry) as Json;
  };
  const roles = checkNamed(value.roles, 'roles', report, (entry, path) => sound(roleSchema, entry, path));
  if (value.grants !== undefined && !Array.isArray(value.grants)) {
    report({ path: ['grants'], message: `expected a list, got ${typeName(value.grants)}` });
  }
  const grants = (input.grants ?? []).map((grant, at) => sound(grantSchema, grant, ['grants', at]));
  for (const [section, what] of [
    ['issuers', 'nobody can prove who they are'],
    ['grants', 'nobody gets anything'],
  ] as const) {
    if (Object.keys(input[section] ?? {}).length > 0) continue;
    report({ path: [section], warning: true, message: `there are no ${section}: ${what}` });
  }
  const whole = broken.size === 0 ? input : { ...input, roles, grants };
  const { policy, faults } = await compilePolicy({ ...whole, stores: storeNames }, shapes);
  // What is wrong inside an entry was said in detail above.
  report(...faults.filter(({ path }) => !broken.has(path.join('\0'))));
  return policy;
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
