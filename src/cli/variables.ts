import { isJsonObject, type Json, type JsonObject } from '../lib/strict-json.ts';
import { exit, Failure } from './failure.ts';
import { shown } from './terminal.ts';

/** One variable of an environment. */
export interface Variable {
  readonly name: string;
  readonly value: string;
}

/** `<CREDENTIAL>_<FIELD>` in upper case, anything but A-Z and 0-9 as `_`; the members of `fields` stand for themselves. */
export function variablesOf(credential: string, data: JsonObject): Variable[] {
  const { fields, ...rest } = data;
  const members: Record<string, Json> = { ...(isJsonObject(fields) ? fields : {}), ...rest };
  const variables = Object.entries(members).map(([field, value]) => ({
    name: variableName(`${credential}_${field}`),
    value: typeof value === 'string' ? value : JSON.stringify(value),
  }));
  const names = new Set(variables.map(({ name }) => name));
  if (names.size !== variables.length)
    throw new Failure(exit.negative, 'two fields would become one variable', 'name one with --field');
  return variables;
}

/**
 * A member of the data, of the stored value's own fields, or of the answer, in that order: a field may have the name of a
 * member of the answer. @throws Failure when there is none
 */
export function pickField(answer: JsonObject, data: JsonObject, field: string): Json {
  if (Object.hasOwn(data, field)) return data[field] as Json;
  if (isJsonObject(data.fields) && Object.hasOwn(data.fields, field)) return data.fields[field] as Json;
  if (Object.hasOwn(answer, field)) return answer[field] as Json;
  throw new Failure(
    exit.negative,
    `the credential has no field ${JSON.stringify(shown(field))}`,
    `it has ${Object.keys(data).map(shown).join(', ')}; the answer has ${Object.keys(answer).map(shown).join(', ')}`,
  );
}

/** `NAME=value` lines as `docker run --env-file` takes them: no quoting, so no line breaks. */
export function asEnv(variables: readonly Variable[]): string {
  return lines(variables, (value) => {
    if (/[\r\n]/.test(value))
      throw new Failure(
        exit.negative,
        'a value has line breaks, which `env` cannot carry',
        'use --format dotenv or shell',
      );
    return value;
  });
}

/** `NAME='value'` lines; in double quotes where the value has a quote of its own or a line break, written as `\n`. */
export function asDotenv(variables: readonly Variable[]): string {
  return lines(variables, (value) => {
    // In single quotes every reader takes the text as it is; what a backslash means in double ones they do not agree on.
    if (!/['\r\n]/.test(value)) return `'${value}'`;
    const escaped = value
      .replace(/["\\$`]/g, '\\$&')
      .replaceAll('\n', '\\n')
      .replaceAll('\r', '\\r');
    return `"${escaped}"`;
  });
}

/** `export NAME='value'` lines for `eval` in a POSIX shell. */
export function asShell(variables: readonly Variable[]): string {
  return variables.map(({ name, value }) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`).join('');
}

const lines = (variables: readonly Variable[], write: (value: string) => string) =>
  variables.map(({ name, value }) => `${name}=${write(value)}\n`).join('');

const variableName = (text: string) =>
  text
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '_')
    .replace(/^(?=[0-9])/, '_');
