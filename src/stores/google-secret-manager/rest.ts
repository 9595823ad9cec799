import { fromBase64, toBase64 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { CallGoogle } from '../../sessions/google/call.ts';
import { pageBytes, pageSize, type SecretManager, type Version } from './api.ts';

/** Secret Manager's REST API as it is. */
export function restSecretManager(call: CallGoogle, endpoint: string): SecretManager {
  const ask = (step: string, method: string, path: string, deadline: Deadline, body?: JsonObject) =>
    call({
      step,
      method,
      url: `${endpoint}/v1/${path}`,
      body: body && JSON.stringify(body),
      deadline,
      maxBytes: step === 'list' ? pageBytes : 256 * 1024,
    });

  const page = (path: string, pageToken: string, deadline: Deadline) => {
    const query = new URLSearchParams({ pageSize: String(pageSize), ...(pageToken !== '' && { pageToken }) });
    return ask('list', 'GET', `${path}?${query}`, deadline);
  };

  return {
    async access(version, deadline) {
      const { name, payload } = await ask('read', 'GET', `${version}:access`, deadline);
      const { data, dataCrc32c } = isJsonObject(payload) ? payload : {};
      // An empty value is left out of proto3 JSON.
      const bytes = fromBase64(textOf(data) ?? '');
      if (typeof name !== 'string' || bytes === undefined) throw badAnswer('read');
      return { name, data: bytes, checksum: textOf(dataCrc32c) };
    },
    async getRotation(secret, deadline) {
      const { rotation } = await ask('describe', 'GET', secret, deadline);
      return isJsonObject(rotation) ? { next: textOf(rotation.nextRotationTime) } : undefined;
    },
    async listVersions(secret, pageToken, deadline) {
      const { versions, nextPageToken } = await page(`${secret}/versions`, pageToken, deadline);
      return { items: listOf(versions).map((one) => versionOf(one, 'list')), next: textOf(nextPageToken) ?? '' };
    },
    async listSecrets(parent, pageToken, deadline) {
      const { secrets, nextPageToken } = await page(`${parent}/secrets`, pageToken, deadline);
      return { items: listOf(secrets).map(({ name }) => String(name)), next: textOf(nextPageToken) ?? '' };
    },
    async addVersion(secret, data, dataCrc32c, deadline) {
      const body = { payload: { data: toBase64(data), dataCrc32c } };
      return versionOf(await ask('write', 'POST', `${secret}:addVersion`, deadline, body), 'write');
    },
    async createSecret(parent, id, regional, deadline) {
      const body: JsonObject = regional ? {} : { replication: { automatic: {} } };
      await ask('create', 'POST', `${parent}/secrets?secretId=${id}`, deadline, body);
    },
    async deleteSecret(secret, deadline) {
      await ask('remove', 'DELETE', secret, deadline);
    },
  };
}

const textOf = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

const listOf = (value: Json | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

function versionOf({ name, state, createTime }: JsonObject, step: string): Version {
  if (typeof name !== 'string') throw badAnswer(step);
  return { name, state: textOf(state) ?? '', createdAt: textOf(createTime) };
}

const badAnswer = (step: string) => new UpstreamError('unreachable', { step, reason: 'bad_answer' });
