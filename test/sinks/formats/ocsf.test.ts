import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/lib/strict-json.ts';
import type { SinkEntry } from '../../../src/sinks/entry.ts';
import { ocsfEvent } from '../../../src/sinks/formats/ocsf.ts';
import { vectors } from '../../ledger/vectors.ts';
import { entryOf, everyType } from '../entries.ts';
import { noSchema, ocsfFaults } from '../ocsf-schema.ts';

const types = Object.keys(everyType) as (keyof typeof everyType)[];
const eventOf = (type: keyof typeof everyType, told = true): JsonObject =>
  ocsfEvent({ ...entryOf(everyType[type]), ...(told ? {} : { disclosure: null }) });

function publishedEntries(): SinkEntry[] {
  const { good } = JSON.parse(readFileSync(join(vectors as string, 'hallpass/receipts.json'), 'utf8')) as {
    good: { receipt: { log: string; index: number; record: string; disclosure?: string } }[];
  };
  return good.map(({ receipt: { log, index, record, disclosure = null } }) => ({
    log,
    leaf: index,
    index,
    record,
    disclosure,
  }));
}

interface Spoilable extends Record<string, unknown> {
  readonly api: object;
  readonly src_endpoint: object;
  readonly metadata: { profiles?: unknown };
}

describe.skipIf(noSchema !== undefined)(`an entry as an OCSF event ${noSchema ?? ''}`, () => {
  test.each(types)('fits the schema for %s, with and without its disclosure', (type) => {
    expect(ocsfFaults(eventOf(type))).toEqual([]);
    expect(ocsfFaults(eventOf(type, false))).toEqual([]);
  });

  test('fits the schema for the records of the published receipts', () => {
    const entries = publishedEntries();
    expect(entries.flatMap((entry) => ocsfFaults(ocsfEvent(entry)))).toEqual([]);
    expect(entries.length).toBeGreaterThan(5);
  });

  test.each<[string, (event: Spoilable) => unknown, string]>([
    ['a missing class', (event) => delete event.class_uid, 'class_uid undefined is unknown'],
    ['a missing actor', (event) => delete event.actor, 'actor is missing'],
    ['an unknown member', (event) => Object.assign(event.api, { verb: 'GET' }), 'api.verb is unknown'],
    ['a time that is text', (event) => Object.assign(event, { time: 'now' }), 'time is no timestamp_t'],
    [
      'an activity of another class',
      (event) => Object.assign(event, { activity_id: 7 }),
      'activity_id 7 is not in the enum',
    ],
    [
      'a caption of another value',
      (event) => Object.assign(event, { severity: 'Fatal' }),
      'severity is not "Informational"',
    ],
    [
      'an address that is none',
      (event) => Object.assign(event.src_endpoint, { ip: 'here' }),
      'src_endpoint.ip does not match ip_t',
    ],
    ['an endpoint without a name', (event) => Object.assign(event, { src_endpoint: {} }), 'src_endpoint.needs one of'],
    ['a profile left unnamed', (event) => delete event.metadata.profiles, 'action_id is unknown'],
  ])('is refused by the check here with %s', (_, spoil, fault) => {
    const event = structuredClone(eventOf('issuance')) as unknown as Spoilable;
    spoil(event);
    expect(ocsfFaults(event).join('\n')).toContain(fault);
  });
});

describe('an entry as an OCSF event', () => {
  test('says of an issuance who got what, under which grant, from where', () => {
    const entry = entryOf(everyType.issuance);
    const event = ocsfEvent(entry);
    expect(event).toMatchObject({
      class_uid: 6003,
      activity_id: 1,
      type_uid: 600301,
      status: 'Success',
      time: Date.parse('2026-11-22T12:00:00.123Z'),
      actor: { user: { name: 'shop:checkout/web' }, idp: { name: 'shop', issuer: 'https://issuer.example.com' } },
      src_endpoint: { ip: '203.0.113.9' },
      resources: [
        { type: 'postgres', name: 'orders-db', uid: '01jd9m0000000000000000000a' },
        { type: 'store', name: 'hub' },
      ],
      action: 'Allowed',
      policy: { name: 'checkout' },
      trace: { uid: '0af7651916cd43dd8448eb211c80319c' },
      metadata: { log_name: 'pass.example.com/ledger', sequence: 41, event_code: 'issuance' },
      raw_data: entry.record,
    });
  });

  test('says of a denial that it was denied, and why', () => {
    expect(eventOf('denial')).toMatchObject({
      status: 'Failure',
      status_code: 'no_grant',
      action: 'Denied',
      disposition: 'Blocked',
      severity: 'Low',
      count: 3,
    });
  });

  test('counts what nobody could verify as failed authentications of one issuer', () => {
    expect(eventOf('summary')).toMatchObject({
      class_uid: 3002,
      status: 'Failure',
      count: 7,
      duration: 60_000,
      user: { name: 'ci:unverified' },
    });
  });

  test('names nobody where there is no disclosure', () => {
    for (const type of types) {
      const text = JSON.stringify(eventOf(type, false));
      for (const secret of ['checkout/web', '203.0.113.9', 'serviceaccount', 'nightly'])
        expect(text, `${type} tells ${secret}`).not.toContain(secret);
    }
  });
});
