import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';

/** The google.rpc.Code of a refusal, `PERMISSION_DENIED` and the like. */
export function statusOf({ error }: JsonObject): string | undefined {
  return isJsonObject(error) && typeof error.status === 'string' ? error.status : undefined;
}

/** What the operator is told: the finer reason (google.rpc.ErrorInfo, such as `SERVICE_DISABLED`), else the status. */
export function googleCode(body: JsonObject): string | undefined {
  const details = isJsonObject(body.error) && Array.isArray(body.error.details) ? body.error.details : [];
  for (const detail of details) if (isJsonObject(detail) && typeof detail.reason === 'string') return detail.reason;
  return statusOf(body);
}
