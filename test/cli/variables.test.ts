import { execFileSync } from 'node:child_process';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { asDotenv, asEnv, asShell, variablesOf } from '../../src/cli/variables.ts';

describe('variablesOf', () => {
  it('names each field after the credential, in upper case', () => {
    expect(variablesOf('orders-db', { host: 'db.internal', port: 5432 })).toEqual([
      { name: 'ORDERS_DB_HOST', value: 'db.internal' },
      { name: 'ORDERS_DB_PORT', value: '5432' },
    ]);
  });

  it('lets the members of fields stand for themselves', () => {
    expect(variablesOf('a', { value: '{"user":"u"}', fields: { user: 'u' } }).map(({ name }) => name)).toEqual([
      'A_USER',
      'A_VALUE',
    ]);
  });

  it('refuses two fields that would become one variable', () => {
    expect(() => variablesOf('a', { 'x-y': '1', x_y: '2' })).toThrow('one variable');
  });

  it('never begins a name with a digit', () => {
    expect(variablesOf('2fa', { value: 'v' })[0]?.name).toBe('_2FA_VALUE');
  });
});

describe('formats', () => {
  const awkward = `it's "a" $HOME \`id\` \\ and\nmore`;

  it('shell: sh reads back exactly the value', () => {
    const script = `${asShell([{ name: 'V', value: awkward }])}printf %s "$V"`;
    expect(execFileSync('sh', ['-c', script], { encoding: 'utf8' })).toBe(awkward);
  });

  it('dotenv: Node reads back exactly what has no line break and no single quote in it', () => {
    const value = `a"b $HOME \`id\` \\n \\ #c=d`;
    expect(parseEnv(asDotenv([{ name: 'V', value }]))).toEqual({ V: value });
  });

  it('dotenv: one line a variable, quotes and line breaks escaped where they must be', () => {
    expect(asDotenv([{ name: 'V', value: "it's\na$d" }])).toBe(`V="it's\\na\\$d"\n`);
  });

  it('env: refuses a line break instead of writing a second variable', () => {
    expect(() => asEnv([{ name: 'V', value: 'a\nPATH=/tmp' }])).toThrow('line breaks');
    expect(asEnv([{ name: 'V', value: awkward.replace('\n', ' ') }])).toBe(`V=${awkward.replace('\n', ' ')}\n`);
  });
});
