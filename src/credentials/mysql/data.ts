import { hostAndPort } from '../address.ts';
import type { MysqlConfig } from '../mysql.ts';

/** What is handed over. */
export function dataOf(config: MysqlConfig, username: string, password: string) {
  const { host, port, database } = config;
  const login = [username, password].map(encodeURIComponent).join(':');
  const url = `mysql://${login}@${hostAndPort(config)}/${encodeURIComponent(database)}`;
  return { host, port, database, username, password, url };
}
