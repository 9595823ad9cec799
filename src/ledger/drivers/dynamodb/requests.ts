import type { QueryCommandInput, TransactWriteItem } from '@aws-sdk/client-dynamodb';
import { encodeRow, type Key, type Row, type Value } from './row.ts';

/** One write of a transaction. `when` and `set` are expressions over `#name` and `:value` as `names` and `values` give them. */
export type Write =
  | { readonly put: Row; readonly when?: Condition }
  | { readonly remove: Key; readonly when?: Condition }
  | { readonly check: Key; readonly when: Condition }
  | {
      readonly update: Key;
      readonly set: string;
      readonly when?: Condition;
      readonly values: Values;
      readonly names?: Names;
    };

export interface Condition {
  readonly is: string;
  readonly values?: Values;
}

type Values = Readonly<Record<string, Value>>;
type Names = Readonly<Record<string, string>>;

export const absent: Condition = { is: 'attribute_not_exists(pk)' };

export interface Range {
  readonly from?: string;
  /** Inclusive. */
  readonly to?: string;
  /** Of the sort key. */
  readonly prefix?: string;
  readonly newestFirst?: boolean;
  /** Stops once so many rows were found. */
  readonly limit?: number;
  /** Only rows whose attribute has this value; the others are read and paid for. */
  readonly only?: readonly [attribute: string, value: string];
  /** Only these attributes. */
  readonly attributes?: readonly string[];
}

export function queryOf(TableName: string, pk: string, range: Range): QueryCommandInput {
  const { from, to, prefix, newestFirst = false, limit, only, attributes } = range;
  const where = ['pk = :pk'];
  if (prefix !== undefined) where.push('begins_with(sk, :prefix)');
  else if (from !== undefined && to !== undefined) where.push('sk BETWEEN :from AND :to');
  else if (from !== undefined) where.push('sk >= :from');
  else if (to !== undefined) where.push('sk <= :to');
  const given = { ':pk': pk, ':from': from, ':to': to, ':prefix': prefix, ':only': only?.[1] };
  const values = Object.entries(given).filter((one): one is [string, string] => one[1] !== undefined);
  const names = [...(only === undefined ? [] : [only[0]]), ...(attributes ?? [])];
  return {
    TableName,
    ConsistentRead: true,
    KeyConditionExpression: where.join(' AND '),
    ExpressionAttributeValues: encodeRow(Object.fromEntries(values)),
    ScanIndexForward: !newestFirst,
    ...(only === undefined && limit !== undefined && { Limit: limit }),
    ...(only !== undefined && { FilterExpression: '#0 = :only' }),
    ...(attributes !== undefined && {
      ProjectionExpression: names.map((_, at) => `#${at}`).join(),
    }),
    ...(names.length > 0 && {
      ExpressionAttributeNames: Object.fromEntries(names.map((attribute, at) => [`#${at}`, attribute])),
    }),
  };
}

const conditionOf = (when: Condition | undefined) => ({
  ...(when !== undefined && { ConditionExpression: when.is }),
  ...(when?.values !== undefined && { ExpressionAttributeValues: encodeRow(when.values) }),
});

const keyOf = ({ pk, sk }: Key) => encodeRow({ pk, sk });

export function updateOf(TableName: string, { update, set, when, values, names }: Extract<Write, { update: Key }>) {
  const all = { ...values, ...when?.values };
  return {
    TableName,
    Key: keyOf(update),
    UpdateExpression: set,
    ...(when !== undefined && { ConditionExpression: when.is }),
    ...(Object.keys(all).length > 0 && { ExpressionAttributeValues: encodeRow(all) }),
    ...(names !== undefined && { ExpressionAttributeNames: { ...names } }),
  };
}

export function transactItem(TableName: string, write: Write): TransactWriteItem {
  if ('put' in write) return { Put: { TableName, Item: encodeRow(write.put), ...conditionOf(write.when) } };
  if ('remove' in write) return { Delete: { TableName, Key: keyOf(write.remove), ...conditionOf(write.when) } };
  if ('check' in write)
    return {
      ConditionCheck: {
        TableName,
        Key: keyOf(write.check),
        ...conditionOf(write.when),
        ConditionExpression: write.when.is,
      },
    };
  return { Update: updateOf(TableName, write) };
}
