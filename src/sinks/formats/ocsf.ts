import { sha256, toHex } from '../../lib/bytes.ts';
import type { RecordFacts } from '../../lib/record-facts.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { disclosedOf, recordOf, type SinkEntry } from '../entry.ts';

// Open Cybersecurity Schema Framework 1.9.0: classes API Activity (6003) and Authentication (3002).

const schemaVersion = '1.9.0';
const apiActivity = {
  category_uid: 6,
  category_name: 'Application Activity',
  class_uid: 6003,
  class_name: 'API Activity',
};
const authentication = {
  category_uid: 3,
  category_name: 'Identity & Access Management',
  class_uid: 3002,
  class_name: 'Authentication',
};

type Named = readonly [id: number, caption: string];

const create: Named = [1, 'Create'];
const read: Named = [2, 'Read'];
const update: Named = [3, 'Update'];
const remove: Named = [4, 'Delete'];
const logon: Named = [1, 'Logon'];

const informational: Named = [1, 'Informational'];
const low: Named = [2, 'Low'];
const medium: Named = [3, 'Medium'];

const unknown: Named = [0, 'Unknown'];
const success: Named = [1, 'Success'];
const failure: Named = [2, 'Failure'];

/** What each type of record is there; `other` is told by the type's own name. */
const activities: Readonly<Record<string, Named>> = {
  intent: create,
  issuance: create,
  failure: create,
  denial: create,
  revocation: remove,
  renewal: update,
  policy: update,
  rotation: update,
  'store-write': update,
  erasure: remove,
  read,
};
const logons: ReadonlySet<string> = new Set(['session', 'sign-in', 'summary']);
const severities: Readonly<Record<string, Named>> = {
  denial: low,
  failure: low,
  summary: low,
  lockdown: medium,
  erasure: medium,
};
const failures: ReadonlySet<string> = new Set(['failure', 'denial', 'summary']);
/** Types whose `reason` says why it went wrong, where they have one. */
const mayFail: ReadonlySet<string> = new Set(['sign-in', 'rotation']);
/** Members that stand in the event by themselves; the others go into `unmapped`. */
const mapped: ReadonlySet<string> = new Set(
  'v type id time writer issuance request trace identity credential kind store version grant policy reason count audience issuer from to'.split(
    ' ',
  ),
);
const mappedDisclosed: ReadonlySet<string> = new Set(['name', 'iss', 'subject', 'address']);

/** An entry as an OCSF event. Who it was about stands in it only as far as the entry has its disclosure. */
export function ocsfEvent(entry: SinkEntry): JsonObject {
  const record = recordOf(entry);
  const disclosed = disclosedOf(entry);
  const about = logons.has(record.type) ? logonOf(record, disclosed) : callOf(record, disclosed);
  const control = controlOf(record);
  const profiles = [...(control === undefined ? [] : ['security_control']), ...('trace' in about ? ['trace'] : [])];
  const [severity_id, severity] = severities[record.type] ?? informational;
  const [status_id, status] = statusOf(record);
  return {
    ...about,
    ...control,
    severity_id,
    severity,
    status_id,
    status,
    ...(record.reason !== undefined && { status_code: record.reason }),
    ...timesOf(record),
    timezone_offset: 0,
    metadata: {
      version: schemaVersion,
      product: { name: 'Hallpass', vendor_name: 'Hallpass', version: record.writer.version },
      uid: record.id,
      log_name: entry.log,
      log_provider: record.writer.name,
      sequence: entry.leaf,
      event_code: record.type,
      original_time: record.time,
      ...(record.issuance !== undefined && { correlation_uid: record.issuance }),
      ...(record.type === 'issuance' && { correlation_uid: record.id }),
      ...(profiles.length > 0 && { profiles }),
    },
    ...unmappedOf(record, disclosed),
    raw_data: entry.record,
    raw_data_hash: {
      algorithm_id: 3,
      algorithm: 'SHA-256',
      encoding_id: 1,
      encoding: 'Hex',
      value: toHex(sha256(entry.record)),
    },
    raw_data_size: Buffer.byteLength(entry.record),
  };
}

/** API Activity: somebody asked something of Hallpass, or Hallpass did something by itself. */
function callOf(record: RecordFacts, disclosed: JsonObject | undefined): JsonObject {
  const { type, writer, reason, request, trace, op, state } = record;
  const [activity_id, activity_name] = activities[type] ?? changeOf(op ?? state) ?? [99, type];
  return {
    ...apiActivity,
    ...typeOf(apiActivity, activity_id, activity_name),
    api: {
      operation: op === undefined ? type : `${type} ${op}`,
      service: { name: 'Hallpass', uid: writer.name, version: writer.version },
      ...(request !== undefined && { request: { uid: request } }),
      ...(failures.has(type) && reason !== undefined && { response: { error: reason } }),
    },
    actor: actorOf(record, disclosed),
    src_endpoint: sourceOf(record, disclosed),
    ...resourcesOf(record),
    ...(trace !== undefined && { trace: { uid: trace } }),
  };
}

/** Authentication: Hallpass at a store, an auditor at Hallpass, or those whom nobody could verify. */
function logonOf(record: RecordFacts, disclosed: JsonObject | undefined): JsonObject {
  const { type, writer, credential, store, audience } = record;
  const [activity_id, activity_name] = logon;
  const actor = actorOf(record, disclosed);
  const outward = type === 'session';
  return {
    ...authentication,
    ...typeOf(authentication, activity_id, activity_name),
    auth_protocol_id: 4,
    auth_protocol: 'OpenID',
    is_remote: true,
    user: outward ? { name: writer.name, type_id: 4, type: 'Service' } : (actor.user as JsonObject),
    actor,
    service: outward
      ? { name: store ?? credential ?? 'unknown', ...(audience !== undefined && { uid: audience }) }
      : { name: 'Hallpass', uid: writer.name, version: writer.version },
    src_endpoint: outward ? writerEndpoint(record) : sourceOf(record, disclosed),
  };
}

const changeOf = (word: string | undefined): Named | undefined =>
  word === 'add' ? create : word === 'lift' ? remove : word === 'begin' ? create : word === 'end' ? remove : undefined;

const typeOf = ({ class_uid, class_name }: typeof apiActivity, activity_id: number, activity_name: string) => ({
  activity_id,
  activity_name,
  type_uid: class_uid * 100 + activity_id,
  type_name: `${class_name}: ${activity_id === 99 ? 'Other' : activity_name}`,
});

/** Whoever caused it; Hallpass itself where a record names nobody. */
function actorOf({ identity, writer, issuer }: RecordFacts, disclosed: JsonObject | undefined): JsonObject {
  const named = typeof disclosed?.name === 'string' ? disclosed.name : undefined;
  if (identity === undefined || identity.issuer === 'self') {
    if (issuer !== undefined) return { user: { name: `${issuer}:unverified`, type_id: 0, type: 'Unknown' } };
    return { user: { name: writer.name, type_id: 4, type: 'Service' }, app_uid: writer.instance };
  }
  const user = { uid: identity.who, ...(named !== undefined && { name: named }), type_id: 4, type: 'Service' };
  const issuedBy = disclosed?.iss;
  return { user, idp: { name: identity.issuer, ...(typeof issuedBy === 'string' && { issuer: issuedBy }) } };
}

function sourceOf(record: RecordFacts, disclosed: JsonObject | undefined): JsonObject {
  const { identity } = record;
  const address = disclosed?.address;
  if (typeof address === 'string' && isAddress(address)) return { ip: address };
  if (identity === undefined || identity.issuer === 'self') return writerEndpoint(record);
  return { uid: identity.who, svc_name: identity.issuer };
}

const writerEndpoint = ({ writer }: RecordFacts): JsonObject => ({
  name: writer.name,
  instance_uid: writer.instance,
  svc_name: 'Hallpass',
});

const isAddress = (text: string): boolean =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(text)
    ? URL.canParse(`http://${text}`)
    : text.includes(':') && URL.canParse(`http://[${text}]`);

function resourcesOf({ credential, kind, store, version, target, issuance, id, type }: RecordFacts): JsonObject {
  const uid = type === 'issuance' ? id : issuance;
  const resources = [
    ...(credential === undefined
      ? []
      : [
          {
            type: kind ?? 'credential',
            name: credential,
            ...(uid !== undefined && { uid }),
            role_id: 1,
            role: 'Target',
          },
        ]),
    ...(store === undefined
      ? []
      : [{ type: 'store', name: store, ...(version !== undefined && { version }), role_id: 4, role: 'Related' }]),
    ...(target === undefined ? [] : [{ type: 'lockdown', name: target, role_id: 3, role: 'Affected' }]),
  ];
  return resources.length === 0 ? {} : { resources };
}

function statusOf({ type, reason }: RecordFacts): Named {
  if (type === 'intent') return unknown;
  return failures.has(type) || (mayFail.has(type) && reason !== undefined) ? failure : success;
}

/** What policy said, where it was asked. */
function controlOf({ type, grant, policy }: RecordFacts): JsonObject | undefined {
  if (type !== 'denial' && grant === undefined) return undefined;
  const [action_id, action, disposition_id, disposition] =
    type === 'denial' ? [2, 'Denied', 2, 'Blocked'] : [1, 'Allowed', 1, 'Allowed'];
  const by = { ...(grant !== undefined && { name: grant }), ...(policy !== undefined && { uid: policy }) };
  return {
    action_id,
    action,
    disposition_id,
    disposition,
    ...(Object.keys(by).length > 0 && { policy: by }),
  } as JsonObject;
}

/** Counted ones are many events in one. */
function timesOf({ time, from, to, count, counts }: RecordFacts): JsonObject {
  const at = Date.parse(time);
  const sum = Object.values(counts ?? {}).reduce((total, each) => total + each, 0);
  if (from === undefined || to === undefined) return { time: at, ...(count !== undefined && { count }) };
  const [start_time, end_time] = [Date.parse(from), Date.parse(to)];
  return { time: start_time, start_time, end_time, duration: end_time - start_time, count: sum };
}

function unmappedOf(record: RecordFacts, disclosed: JsonObject | undefined): JsonObject {
  const rest = without(record as unknown as JsonObject, mapped);
  const more = without(disclosed ?? {}, mappedDisclosed);
  const unmapped = { ...rest, ...(Object.keys(more).length > 0 && { disclosed: more }) };
  return Object.keys(unmapped).length === 0 ? {} : { unmapped };
}

const without = (from: JsonObject, names: ReadonlySet<string>): JsonObject =>
  Object.fromEntries(Object.entries(from).filter(([name]) => !names.has(name)));
