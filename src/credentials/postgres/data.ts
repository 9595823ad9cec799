import { hostAndPort } from '../address.ts';
import type { PostgresConfig } from '../postgres.ts';

/** What is handed over; where a pooler stands in front, its address. */
export function dataOf(config: PostgresConfig, username: string, password: string) {
  const { host, port } = config.pooler ?? config;
  const { database } = config;
  const login = [username, password].map(encodeURIComponent).join(':');
  const url = `postgres://${login}@${hostAndPort({ host, port })}/${encodeURIComponent(database)}`;
  return { host, port, database, username, password, url };
}
