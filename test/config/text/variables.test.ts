// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language under test
import { describe, expect, it } from 'vitest';
import { expandVariables } from '../../../src/config/text/variables.ts';

const env = { HOST: 'db.internal', REGION: 'eu-west-1', HALLPASS_SECRET_KEY: 'hush', EMPTY: '', TRICK: '${HOST}' };
const messages = (value: Parameters<typeof expandVariables>[0]) =>
  expandVariables(value, env).faults.map(({ message }) => message);

describe('expandVariables', () => {
  it('puts variables into strings at any depth, several in one, and leaves the rest alone', () => {
    const { value, faults } = expandVariables(
      { a: ['${HOST}:${REGION}', 5, null], b: { c: 'x-${EMPTY}-y' }, d: '$HOST' },
      env,
    );
    expect(faults).toEqual([]);
    expect(value).toEqual({ a: ['db.internal:eu-west-1', 5, null], b: { c: 'x--y' }, d: '$HOST' });
  });

  it('does not expand what a variable holds', () => {
    expect(expandVariables({ a: '${TRICK}' }, env).value).toEqual({ a: '${HOST}' });
  });

  it('leaves names alone', () => {
    expect(expandVariables({ '${HOST}': 1 }, env).value).toEqual({ '${HOST}': 1 });
  });

  it('takes $${ for a literal ${', () => {
    expect(expandVariables({ a: '$${HOST} ${HOST}' }, env)).toMatchObject({
      value: { a: '${HOST} db.internal' },
      faults: [],
    });
  });

  it('refuses an unset variable, each time, and says where', () => {
    const { faults } = expandVariables({ a: ['x', '${NOT_SET}'] }, env);
    expect(faults).toEqual([{ path: ['a', 1], message: 'the variable NOT_SET is not set' }]);
  });

  it.each(['toString', '__proto__', 'constructor'])('takes nothing from the prototype: %s', (name) => {
    expect(messages({ a: `\${${name}}` })).toEqual([`the variable ${name} is not set`]);
  });

  it.each(['${', '${}', '${a-b}', '${HOST', '${ HOST }', '${1A}'])('refuses the malformed %s', (text) => {
    expect(messages({ a: text })).toEqual(['a variable is written ${NAME}']);
  });

  it('refuses the variables of an env store, under its own prefix or the default one', () => {
    const take = (stores: { [name: string]: { [member: string]: string } }) =>
      messages({ a: '${HALLPASS_SECRET_KEY}', stores });
    const refused = ['the variable HALLPASS_SECRET_KEY is a secret of an env store'];
    expect(take({ s: { kind: 'env' } })).toEqual(refused);
    expect(take({ s: { kind: 'env', prefix: 'HALLPASS_SECRET_' } })).toEqual(refused);
    expect(take({ s: { kind: 'env', prefix: 'HALLPASS_' } })).toEqual(refused);
    expect(take({ s: { kind: 'env', prefix: 'OTHER_' } })).toEqual([]);
    expect(take({})).toEqual([]);
  });

  it('notices an env store whose prefix or kind came from a variable', () => {
    const value = { a: '${X_KEY}', stores: { s: { kind: '${KIND}', prefix: '${PREFIX}' } } };
    const { faults } = expandVariables(value, { X_KEY: 'hush', KIND: 'env', PREFIX: 'X_' });
    expect(faults.map(({ message }) => message)).toEqual(['the variable X_KEY is a secret of an env store']);
  });
});
