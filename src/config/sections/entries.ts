import type { PlugIn } from '../../lib/catalog.ts';
import type { Fault } from '../../lib/fault.ts';
import type { Runtime } from '../../lib/platform.ts';
import * as s from '../../lib/schema/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { nearest } from '../../lib/suggest.ts';
import type { Entry } from '../config.ts';
import { type Finding, findingsOf, typeName } from '../text/issues.ts';
import { entryName } from './sections.ts';

export type Catalog = readonly Pick<PlugIn<unknown>, 'name' | 'schema' | 'runtimes' | 'check' | 'never'>[];

/** Takes findings while a config is walked. */
export type Report = (...findings: readonly Finding[]) => void;

/** Checks a value by a schema; undefined when it does not fit. */
export function checkShape<S extends s.Schema>(
  schema: S,
  value: unknown,
  path: Fault['path'],
  report: Report,
): s.infer<S> | undefined {
  const result = s.safeParse(schema, value);
  if (result.success) return result.data;
  report(...findingsOf(result.error, schema).map((finding) => ({ ...finding, path: [...path, ...finding.path] })));
  return undefined;
}

/** Checks one plug-in's entry, which `kind` names, by that plug-in's own schema and check. */
export function checkEntry(
  value: Json | undefined,
  path: Fault['path'],
  catalog: Catalog,
  runtime: Runtime,
  report: Report,
): Entry | undefined {
  const names = catalog.map(({ name }) => name);
  if (!isJsonObject(value)) {
    report({
      path,
      message: `expected a mapping with kind, got ${typeName(value)}`,
      hint: `kinds: ${names.join(', ')}`,
    });
    return undefined;
  }
  if (typeof value.kind !== 'string') {
    const message = value.kind === undefined ? 'kind is missing' : `expected a text, got ${typeName(value.kind)}`;
    report({ path: value.kind === undefined ? path : [...path, 'kind'], message, hint: `one of ${names.join(', ')}` });
    return undefined;
  }
  const plugIn = catalog.find(({ name }) => name === value.kind);
  if (plugIn === undefined) {
    report({
      path: [...path, 'kind'],
      message: `there is no kind ${JSON.stringify(value.kind)} here`,
      hint: meant(value.kind, names),
    });
    return undefined;
  }
  if (!plugIn.runtimes.includes(runtime)) {
    const message = `${plugIn.name} runs on ${plugIn.runtimes.join(' and ')}, not on ${runtime}`;
    // On Node it is most often another runtime's config that is being looked at.
    const hint = `is the config for it? hallpass config check FILE --runtime ${plugIn.runtimes[0]}`;
    report({ path: [...path, 'kind'], message, ...(runtime === 'node' ? { hint } : {}) });
  }
  return checkPlugIn(plugIn, value, path, report) as Entry | undefined;
}

/** Checks an entry whose plug-in is known by its schema, and by its `check` what else can be told of it. */
export function checkPlugIn(
  plugIn: Pick<Catalog[number], 'schema' | 'check' | 'never'>,
  value: JsonObject,
  path: Fault['path'],
  report: Report,
): unknown {
  const entry = checkShape(plugIn.schema, value, path, (...findings) => {
    report(...findings.map((finding) => withoutKeys(finding, path, plugIn.never)));
  });
  const sound = entry ?? salvage(plugIn.schema, value);
  const faults = sound === undefined ? [] : (plugIn.check?.(sound) ?? []);
  report(...faults.map((fault) => ({ ...fault, path: [...path, ...fault.path] })));
  return entry;
}

/** Whoever wrote a long-lived key is told how to do without, and not of a member that sounds like it. */
function withoutKeys(finding: Finding, entry: Fault['path'], never: Catalog[number]['never']): Finding {
  const isMember = finding.name === true && finding.path.length === entry.length + 1;
  if (never === undefined || !isMember || !holdsKey(never, String(finding.path.at(-1)))) return finding;
  return { ...finding, hint: `long-lived keys are never taken: ${never.instead}` };
}

/** Whether a member is one that a plug-in never takes, however its name is written. */
export const holdsKey = (never: Catalog[number]['never'], member: string): boolean =>
  never?.members.includes(member.toLowerCase().replaceAll(/[_-]/g, '')) === true;

/** What is left of an entry without the members that its schema refuses, where that is enough for it. */
export function salvage(schema: s.Schema, value: Json): unknown {
  if (!isJsonObject(value)) return undefined;
  const { error } = s.safeParse(schema, value);
  const refused = (error?.issues ?? []).flatMap((issue) =>
    issue.code === 'unrecognized_keys' && issue.path.length === 0 ? issue.keys : [String(issue.path[0])],
  );
  const rest = Object.fromEntries(Object.entries(value).filter(([name]) => !refused.includes(name)));
  return s.safeParse(schema, rest).data;
}

/** Walks a section of named entries: each name is checked, each entry handed on. */
export function checkNamed<T>(
  section: Json | undefined,
  name: string,
  report: Report,
  check: (entry: Json, path: Fault['path']) => T | undefined,
): Record<string, T> {
  if (section === undefined) return {};
  if (!isJsonObject(section)) {
    report({ path: [name], message: `expected a mapping of names, got ${typeName(section)}` });
    return {};
  }
  const checked: [string, T][] = [];
  for (const [key, entry] of Object.entries(section)) {
    const path = [name, key];
    if (!entryName.test(key)) {
      report({
        path,
        name: true,
        message: 'a name has 1 to 128 letters, digits, ".", "_" or "-" and begins with a letter or digit',
      });
    }
    const value = check(entry, path);
    if (value !== undefined) checked.push([key, value]);
  }
  return Object.fromEntries(checked);
}

/** A hint for a mistyped name: what was probably meant, else what there is. */
export function meant(name: string, names: readonly string[]): string {
  const near = nearest(name, names);
  if (near !== undefined) return `did you mean ${near}?`;
  return names.length === 0 ? 'there are none' : `one of ${names.slice(0, 20).join(', ')}`;
}
