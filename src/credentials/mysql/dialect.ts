import { createHash } from 'node:crypto';
import { toUtf8 } from '../../lib/bytes.ts';
import { literal, quoted } from './names.ts';
import { shaCrypt } from './sha-crypt.ts';

/** Where MySQL and MariaDB differ. Accounts and roles are given as they stand in a statement, quoted. */
export interface Dialect {
  /** How a new account is to prove itself: what the server keeps of the password, so that it never sees the password. */
  identified(password: string, random: (bytes: number) => Uint8Array): Promise<string>;
  /** What `CREATE USER` says beside that. */
  readonly comment: string;
  defaultRole(role: string, account: string): string;
  /** A query for the users of a name, in columns `host` and, where the server tells, `role`: the default role. */
  users(name: string): string;
  /** A query for the users that hold a role (its plain name), in a column `name`. */
  holders(role: string): string;
}

const mysql: Dialect = {
  identified: async (password, random) =>
    `IDENTIFIED WITH caching_sha2_password AS '${await cachingSha2(password, random)}'`,
  comment: `COMMENT 'made by hallpass for one issuance'`,
  defaultRole: (role, account) => `SET DEFAULT ROLE ${role} TO ${account}`,
  users: (name) => `SELECT Host AS host FROM mysql.user WHERE User = ${literal(name)}`,
  holders: (role) => `SELECT TO_USER AS name FROM mysql.role_edges WHERE FROM_USER = ${literal(role)}`,
};

const mariadb: Dialect = {
  identified: async (password) => `IDENTIFIED VIA mysql_native_password USING '${nativePassword(password)}'`,
  comment: '',
  defaultRole: (role, account) => `SET DEFAULT ROLE ${role} FOR ${account}`,
  users: (name) => `SELECT Host AS host, default_role AS role FROM mysql.user WHERE User = ${literal(name)}`,
  holders: (role) => `SELECT User AS name FROM mysql.roles_mapping WHERE Role = ${literal(role)}`,
};

/** By what `VERSION()` says; MariaDB names itself there. */
export const dialectOf = (version: string): Dialect => (/mariadb/i.test(version) ? mariadb : mysql);

/** `SET DEFAULT ROLE` for oneself. */
export const ownDefaultRole = (role: string): string => `SET DEFAULT ROLE ${quoted(role)}`;

/** `*` and SHA1(SHA1(password)) in hexadecimal. The password is 256 random bits: there is nothing to guess. */
export function nativePassword(password: string): string {
  const once = createHash('sha1').update(password).digest();
  return `*${createHash('sha1').update(once).digest('hex').toUpperCase()}`;
}

const saltBytes = 20;
const thousandRounds = 5;

/** `$A$005$`, the salt and the digest. A salt must hold neither NUL nor `$`, nor here anything that ends a string. */
export async function cachingSha2(password: string, random: (bytes: number) => Uint8Array): Promise<string> {
  const salt = Buffer.from(random(saltBytes)).toString('base64url').slice(0, saltBytes);
  const digest = await shaCrypt(toUtf8(password), toUtf8(salt), thousandRounds * 1000);
  return `$A$00${thousandRounds}$${salt}${digest}`;
}
