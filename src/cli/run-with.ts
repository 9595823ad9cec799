import { isJsonObject, type JsonObject } from '../lib/strict-json.ts';
import { exit, Failure } from './failure.ts';
import { shown } from './terminal.ts';
import { pickField, type Variable, variablesOf } from './variables.ts';

/** One `--with`: of which credential what comes into the environment, and as which variable. */
export interface With {
  readonly credential: string;
  /** All of them when absent. */
  readonly field?: string;
  /** Named after credential and field when absent. */
  readonly variable?: string;
}

/**
 * Reads `NAME[.field][=VAR]`. The last dot parts name and field, so a name with dots of its own is written with one:
 * `NAME.field`, or `NAME.*` for all of them. @throws Failure
 */
export function parseWith(text: string): With {
  const [, what = '', variable] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
  const [, credential, field] = /^([A-Za-z0-9][\w.-]*?)(?:\.([^.]+))?$/.exec(what) ?? [];
  if (credential === undefined) throw misused(text, 'write --with NAME, NAME.field, NAME=VAR or NAME.field=VAR');
  if (variable !== undefined && !/^[A-Za-z_]\w*$/.test(variable))
    throw misused(text, 'a variable has letters, digits and underscores');
  return {
    credential,
    ...(field !== undefined && field !== '*' && { field }),
    ...(variable !== undefined && { variable }),
  };
}

const misused = (text: string, hint: string) =>
  new Failure(exit.usage, `--with ${JSON.stringify(shown(text))} is not understood`, hint);

/** What stands for a whole credential where one variable is asked for: the first of these that it has. */
const whole = ['value', 'url', 'token', 'accessToken'];

/** The variables of all that is wanted; `answers` by credential. @throws Failure */
export function environmentOf(
  wanted: readonly With[],
  answers: ReadonlyMap<string, JsonObject>,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const one of wanted) {
    const answer = answers.get(one.credential);
    if (answer === undefined)
      throw new Failure(exit.unreachable, `the server gave no usable answer (${one.credential} is missing)`);
    for (const { name, value } of variablesFor(one, answer)) {
      if (Object.hasOwn(environment, name))
        throw new Failure(exit.usage, `two values would become the variable ${name}`, 'name one with NAME.field=VAR');
      if (value.includes('\0')) throw new Failure(exit.negative, `${name} has a NUL, which no variable can carry`);
      environment[name] = value;
    }
  }
  return environment;
}

function variablesFor({ credential, field, variable }: With, answer: JsonObject): Variable[] {
  const data = isJsonObject(answer.data) ? answer.data : {};
  const only = field ?? (variable === undefined ? undefined : whole.find((member) => Object.hasOwn(data, member)));
  if (only === undefined) {
    if (variable === undefined) return variablesOf(credential, data);
    const fields = Object.keys(data).map(shown).join(', ');
    throw new Failure(exit.usage, `${shown(credential)} is more than one value`, `name one of ${fields}`);
  }
  const [found] = variablesOf(credential, { [only]: pickField(answer, data, only) });
  return found === undefined ? [] : [{ ...found, name: variable ?? found.name }];
}
