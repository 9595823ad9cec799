import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { fromUtf8 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import { instant } from '../../lib/time.ts';
import { UpstreamError, type UpstreamFault } from '../../lib/upstream.ts';
import { openAwsService } from '../../sessions/aws/service.ts';
import type { AwsSecretsManagerConfig } from '../aws-secrets-manager.ts';
import { type SecretDescription, type Store, type StoreDeps, StoreError } from '../store.ts';
import { isSecretName } from './name.ts';

/** AWS names a version by the token of the call that made it, 32 characters at least; its labels are words. */
const idPattern = /^[A-Za-z0-9-]{32,64}$/;
const labelPattern = /^[\w/+=.@-]{1,256}$/;
const maxValueBytes = 65_536;
const pageSize = 100;
const maxPages = 100;
const current = 'AWSCURRENT';

/** Secrets by name or ARN; a version is its id or a label (`AWSCURRENT`, `AWSPREVIOUS`, ...). */
export function open(config: AwsSecretsManagerConfig, deps: StoreDeps): Store {
  const aws = openAwsService('secretsmanager', config, deps, (settings) => new SecretsManagerClient(settings));

  /** All but when its value was made: the date there is that of the secret, whose values come and go. */
  async function look(name: string, step: string, deadline: Deadline): Promise<Omit<SecretDescription, 'createdAt'>> {
    const SecretId = checkName(name);
    const found = await aws
      .ask(step, deadline, (client, options) => client.send(new DescribeSecretCommand({ SecretId }), options))
      .catch(unlessScheduled('absent'));
    if (found.DeletedDate !== undefined) throw scheduled('absent', step);
    const labels = Object.entries(found.VersionIdsToStages ?? {});
    const version = labels.find(([, stages]) => stages?.includes(current))?.[0];
    // Made without a value, and none was put yet.
    if (version === undefined) throw new StoreError('absent', { step, reason: 'no_current_version' });
    const { NextRotationDate: next, LastRotatedDate: last, RotationEnabled } = found;
    const times = { ...(next && { next: instant(+next) }), ...(last && { last: instant(+last) }) };
    return {
      name,
      version,
      // Those with a label; AWS forgets the others by itself.
      versions: labels.length,
      ...((RotationEnabled === true || last !== undefined) && {
        rotation: { enabled: RotationEnabled === true, ...times },
      }),
    };
  }

  async function read(name: string, version: string | undefined, step: string, deadline: Deadline) {
    const command = new GetSecretValueCommand({ SecretId: checkName(name), ...wanted(version) });
    return aws.ask(step, deadline, (client, options) => client.send(command, options)).catch(unlessScheduled('absent'));
  }

  return {
    async get(name, version, deadline) {
      const step = 'read';
      const found = await read(name, version, step, deadline);
      const { SecretString: text, SecretBinary: bytes, VersionId } = found;
      const value = text ?? bytes;
      const other = version !== undefined && idPattern.test(version) && version !== VersionId;
      if (value === undefined || VersionId === undefined || other)
        throw new StoreError('unreachable', { step, reason: 'not_understood' });
      return { value: new Secret(value), version: VersionId };
    },
    async describe(name, deadline) {
      const step = 'describe';
      const found = await look(name, step, deadline);
      // What may read a value may ask for its date; listing versions would be one more right.
      const { CreatedDate: created } = await read(name, found.version, step, deadline);
      return { ...found, ...(created && { createdAt: instant(+created) }) };
    },
    async list(deadline) {
      const names: string[] = [];
      let NextToken: string | undefined;
      for (let page = 0; page < maxPages; page++) {
        const command: ListSecretsCommand = new ListSecretsCommand({ MaxResults: pageSize, NextToken });
        const found = await aws.ask('list', deadline, (client, options) => client.send(command, options));
        for (const { Name, DeletedDate } of found.SecretList ?? [])
          if (Name !== undefined && DeletedDate === undefined) names.push(Name);
        NextToken = found.NextToken;
        if (NextToken === undefined) return names.sort();
      }
      throw new StoreError('unreachable', { step: 'list', reason: 'too_many' });
    },
    async put(name, value, deadline) {
      const id = checkName(name, 'invalid');
      const content = contentOf(value);
      // One token for all attempts: whichever of them lands, it is one version.
      const ClientRequestToken = uuid(deps.random(16));
      const add = () =>
        aws.ask('write', deadline, (client, options) =>
          client.send(new PutSecretValueCommand({ SecretId: id, ClientRequestToken, ...content }), options),
        );
      const make = () =>
        aws.ask('write', deadline, (client, options) =>
          client.send(new CreateSecretCommand({ Name: id, ClientRequestToken, ...content }), options),
        );
      const made = await add()
        .catch(whenAbsent(id, () => make().catch(whenThere(add))))
        .catch(unlessScheduled('disabled'));
      return { version: made.VersionId ?? ClientRequestToken };
    },
    async remove(name, deadline) {
      // AWS takes a second deletion for the first one.
      await look(name, 'remove', deadline).catch(unlessEmpty);
      const command = new DeleteSecretCommand({ SecretId: name, RecoveryWindowInDays: 30 });
      await aws
        .ask('remove', deadline, (client, options) => client.send(command, options))
        .catch(unlessScheduled('absent'));
    },
  };
}

function checkName(name: string, fault: UpstreamFault = 'absent'): string {
  if (!isSecretName(name)) throw new StoreError(fault);
  return name;
}

function wanted(version: string | undefined) {
  if (version === undefined) return {};
  if (idPattern.test(version)) return { VersionId: version };
  if (!labelPattern.test(version)) throw new StoreError('absent');
  return { VersionStage: version };
}

/** Text as text, which other readers of the secret expect; anything else as bytes. */
function contentOf(value: Secret): { SecretString: string } | { SecretBinary: Uint8Array } {
  const bytes = value.reveal();
  if (bytes.length === 0 || bytes.length > maxValueBytes) throw new StoreError('invalid');
  try {
    return { SecretString: fromUtf8(bytes) };
  } catch {
    return { SecretBinary: bytes };
  }
}

/** RFC 9562 section 5.4. */
function uuid(random: Uint8Array): string {
  const bytes = Buffer.from(random);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

// Waits for its deletion: nobody can read it, and only an operator should bring it back.
const scheduled = (fault: UpstreamFault, step: string | undefined, cause?: unknown) =>
  new StoreError(fault, { step, reason: 'scheduled_for_deletion', cause });

/** AWS has one name for all that a secret's state forbids; that this is its deletion only the message says. */
const unlessScheduled =
  (fault: UpstreamFault) =>
  (error: unknown): never => {
    const known = error instanceof UpstreamError && error.facts.code === 'InvalidRequestException';
    const said = known && error.cause instanceof Error ? error.cause.message : '';
    throw /\b(marked (for deletion|deleted)|scheduled for deletion)\b/i.test(said)
      ? scheduled(fault, (error as UpstreamError).facts.step, error)
      : error;
  };

const whenAbsent =
  <T>(id: string, then: () => Promise<T>) =>
  (error: unknown): Promise<T> => {
    // An ARN is given by AWS; one that is not there cannot be made.
    if (!(error instanceof UpstreamError) || error.fault !== 'absent' || id.startsWith('arn:')) throw error;
    return then();
  };

/** Another writer has made the secret in between. */
const whenThere =
  <T>(then: () => Promise<T>) =>
  (error: unknown): Promise<T> => {
    if (!(error instanceof UpstreamError) || error.facts.code !== 'ResourceExistsException') throw error;
    return then();
  };

function unlessEmpty(error: unknown): void {
  if (!(error instanceof StoreError) || error.facts.reason !== 'no_current_version') throw error;
}
