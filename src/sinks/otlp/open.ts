import type { JsonObject } from '../../lib/strict-json.ts';
import { trusting } from '../../lib/trust.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { version } from '../../lib/version.ts';
import { recordOf, type SinkEntry } from '../entry.ts';
import { formats } from '../formats/index.ts';
import type { FormatName } from '../formats/names.ts';
import type { OtlpConfig } from '../otlp.ts';
import { post, readHeaders, step } from '../post.ts';
import type { Sink, SinkDeps } from '../sink.ts';
import { rejectedIn } from './answer.ts';

/** Exports log records (OTLP 1, ExportLogsServiceRequest in JSON). */
export function openOtlp(config: OtlpConfig, deps: SinkDeps): Sink {
  const fetch = trusting(config.ca, deps);
  const url = `${config.url.replace(/\/$/, '')}/v1/logs`;
  return {
    async deliver(entries, deadline) {
      const secrets = await readHeaders(config.headers, deps.read, deadline);
      const headers = { ...secrets, 'content-type': 'application/json' };
      const body = JSON.stringify(requestOf(entries, config.format, deps.now()));
      const { body: answer } = await post(fetch, url, { headers, body }, deadline);
      const rejected = rejectedIn(answer);
      // What stands in front of it may answer 200 to anything.
      if (rejected === undefined) throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
      // It took the call and not all of the records.
      if (rejected !== 0) throw new UpstreamError('invalid', { step, reason: 'rejected_in_part' });
    },
  };
}

function requestOf(entries: readonly SinkEntry[], format: FormatName, now: number): JsonObject {
  const logRecords = entries.map((entry) => logRecordOf(entry, format, now));
  return {
    resourceLogs: [
      {
        resource: { attributes: [text('service.name', 'hallpass')] },
        scopeLogs: [{ scope: { name: 'hallpass', version }, logRecords }],
      },
    ],
  };
}

const refused: ReadonlySet<string> = new Set(['failure', 'denial', 'lockdown', 'summary']);

function logRecordOf(entry: SinkEntry, format: FormatName, now: number): JsonObject {
  const { type, id, time, trace, issuance, credential, reason, writer } = recordOf(entry);
  const severity = refused.has(type)
    ? { severityNumber: 13, severityText: 'WARN' }
    : { severityNumber: 9, severityText: 'INFO' };
  const attributes = {
    'hallpass.log': entry.log,
    'hallpass.index': String(entry.leaf),
    'hallpass.record.id': id,
    'hallpass.writer': writer.name,
    'hallpass.issuance': issuance,
    'hallpass.credential': credential,
    'hallpass.reason': reason,
  };
  return {
    timeUnixNano: nanos(Date.parse(time)),
    observedTimeUnixNano: nanos(now),
    ...severity,
    eventName: `hallpass.${type}`,
    body: { stringValue: formats[format](entry) },
    attributes: Object.entries(attributes).flatMap(([name, value]) => (value === undefined ? [] : [text(name, value)])),
    ...(trace !== undefined && { traceId: trace }),
  };
}

/** 64-bit integers are texts in this JSON. */
const nanos = (ms: number): string => `${Math.floor(ms)}000000`;

const text = (key: string, stringValue: string): JsonObject => ({ key, value: { stringValue } });
