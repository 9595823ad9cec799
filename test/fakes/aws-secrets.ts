import { randomUUID } from 'node:crypto';

interface Version {
  readonly id: string;
  readonly created: number;
  readonly content: Readonly<Record<string, unknown>>;
  stages: string[];
}

interface Kept {
  readonly arn: string;
  readonly created: number;
  versions: Version[];
  deletedAt?: number;
  /** The state of the KMS key it is sealed under. */
  keyDisabled?: boolean;
  denied?: boolean;
  rotation?: { readonly enabled: boolean; readonly next?: number; readonly last?: number };
}

/** As AWS words a refusal of its JSON services. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message = 'canary: said by the other side',
    readonly status = 400,
  ) {
    super(message);
  }
}

const deleted = () =>
  new Refused(
    'InvalidRequestException',
    "You can't perform this operation on the secret because it was marked for deletion.",
  );

type Input = Readonly<Record<string, unknown>>;
type Action = (input: Input) => object;

export interface FakeSecrets {
  readonly kept: Map<string, Kept>;
  readonly actions: Readonly<Record<string, Action>>;
  /** As an operator would, in the console; returns the version. */
  create(name: string, value: string): string;
}

/** Secrets Manager's state and the six actions that Hallpass calls, in the words of AWS's API reference. */
export function makeSecrets(now: () => number): FakeSecrets {
  const kept = new Map<string, Kept>();
  const seconds = () => now() / 1000;

  function find({ SecretId }: Input): readonly [string, Kept] {
    for (const [name, secret] of kept) if (SecretId === name || SecretId === secret.arn) return [name, secret];
    throw new Refused('ResourceNotFoundException');
  }

  function alive(input: Input): readonly [string, Kept] {
    const [name, secret] = find(input);
    if (secret.denied === true) throw new Refused('AccessDeniedException');
    if (secret.deletedAt !== undefined) throw deleted();
    return [name, secret];
  }

  function add(secret: Kept, { ClientRequestToken, SecretString, SecretBinary }: Input): Version {
    const id = typeof ClientRequestToken === 'string' ? ClientRequestToken : randomUUID();
    const content = SecretString === undefined ? { SecretBinary } : { SecretString };
    const same = secret.versions.find((version) => version.id === id);
    if (same !== undefined) {
      if (JSON.stringify(same.content) !== JSON.stringify(content)) throw new Refused('ResourceExistsException');
      return same;
    }
    for (const version of secret.versions)
      version.stages = version.stages.includes('AWSCURRENT') ? ['AWSPREVIOUS'] : [];
    const version = { id, created: seconds(), content, stages: ['AWSCURRENT'] };
    secret.versions.push(version);
    return version;
  }

  const actions: Record<string, Action> = {
    GetSecretValue(input) {
      const [Name, secret] = alive(input);
      const { VersionId, VersionStage = 'AWSCURRENT' } = input;
      const version = secret.versions.find(({ id, stages }) =>
        VersionId === undefined ? stages.includes(String(VersionStage)) : id === VersionId,
      );
      if (version === undefined) throw new Refused('ResourceNotFoundException');
      if (secret.keyDisabled === true) throw new Refused('DecryptionFailure');
      const { id, created, stages, content } = version;
      return { ARN: secret.arn, Name, VersionId: id, VersionStages: stages, CreatedDate: created, ...content };
    },
    DescribeSecret(input) {
      const [Name, { arn, created, versions, deletedAt, rotation }] = find(input);
      const labelled = versions.filter(({ stages }) => stages.length > 0);
      return {
        ARN: arn,
        Name,
        CreatedDate: created,
        VersionIdsToStages: Object.fromEntries(labelled.map(({ id, stages }) => [id, stages])),
        ...(deletedAt !== undefined && { DeletedDate: deletedAt }),
        ...(rotation && {
          RotationEnabled: rotation.enabled,
          NextRotationDate: rotation.next,
          LastRotatedDate: rotation.last,
        }),
      };
    },
    ListSecrets({ NextToken = '0', MaxResults = 100 }) {
      const all = [...kept].filter(([, { deletedAt }]) => deletedAt === undefined);
      const from = Number(NextToken);
      const to = from + Number(MaxResults);
      const SecretList = all.slice(from, to).map(([Name, { arn }]) => ({ ARN: arn, Name }));
      return { SecretList, ...(to < all.length && { NextToken: String(to) }) };
    },
    CreateSecret(input) {
      const name = String(input.Name);
      const there = kept.get(name);
      if (there?.deletedAt !== undefined) throw deleted();
      if (there !== undefined) throw new Refused('ResourceExistsException');
      const arn = `arn:aws:secretsmanager:eu-west-1:123456789012:secret:${name}-AbCdEf`;
      const secret: Kept = { arn, created: seconds(), versions: [] };
      kept.set(name, secret);
      return { ARN: arn, Name: name, VersionId: add(secret, input).id };
    },
    PutSecretValue(input) {
      const [Name, secret] = alive(input);
      if (secret.keyDisabled === true) throw new Refused('EncryptionFailure');
      return { ARN: secret.arn, Name, VersionId: add(secret, input).id };
    },
    DeleteSecret(input) {
      const [Name, secret] = find(input);
      secret.deletedAt ??= seconds();
      return { ARN: secret.arn, Name, DeletionDate: seconds() + 30 * 86_400 };
    },
  };
  const create = (Name: string, SecretString: string): string => {
    const arn = `arn:aws:secretsmanager:eu-west-1:123456789012:secret:${Name}-AbCdEf`;
    const secret: Kept = { arn, created: seconds(), versions: [] };
    kept.set(Name, secret);
    return add(secret, { SecretString }).id;
  };
  return { kept, actions, create };
}
