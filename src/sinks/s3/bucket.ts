import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Deadline } from '../../lib/deadline.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { type AwsServiceConfig, openAwsService, type SdkSettings } from '../../sessions/aws/service.ts';
import type { SdkTransport } from '../../sessions/aws/transport.ts';
import type { SessionDeps } from '../../sessions/session.ts';

const dayMs = 86_400_000;

export interface BucketConfig extends AwsServiceConfig {
  readonly bucket: string;
  readonly lock?: { readonly mode: 'governance' | 'compliance'; readonly days: number } | undefined;
}

export interface Bucket {
  /** Puts an object where none is; false: one is there, and is left as it is. @throws UpstreamError */
  putNew(key: string, type: string, body: Uint8Array, deadline: Deadline): Promise<boolean>;
  /** A whole object. @throws UpstreamError */
  read(key: string, deadline: Deadline): Promise<Uint8Array>;
}

const clientOf = ({ bucket, endpoint }: BucketConfig, { signer: _, ...settings }: SdkSettings): S3Client =>
  // Paths and queries are signed here, which the SDK's own signer knows how to.
  new S3Client({
    ...settings,
    expectContinueHeader: false,
    followRegionRedirects: false,
    // A private server has no host for each bucket, and a dot in a bucket's name fits no certificate.
    forcePathStyle: endpoint !== undefined || bucket.includes('.'),
  });

/** A bucket in which nothing is ever overwritten; no more than `answerBytes` of an object is read. No I/O before the first call. */
export function openBucket(config: BucketConfig, deps: SessionDeps, step: string, answerBytes: number): Bucket {
  const { bucket, lock } = config;
  const aws = openAwsService('s3', { ...config, answerBytes }, deps, (settings) =>
    clientOf(config, { ...settings, requestHandler: streaming(settings.requestHandler) }),
  );
  return {
    async read(key, deadline) {
      const command = new GetObjectCommand({ Bucket: bucket, Key: key });
      return aws.ask(step, deadline, async (client, options) => {
        const { Body } = await client.send(command, options);
        return (await Body?.transformToByteArray()) ?? new Uint8Array();
      });
    },
    async putNew(key, type, body, deadline) {
      const retention = lock && {
        ObjectLockMode: lock.mode === 'governance' ? ('GOVERNANCE' as const) : ('COMPLIANCE' as const),
        ObjectLockRetainUntilDate: new Date(deps.now() + lock.days * dayMs),
      };
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: body,
        ContentType: type,
        IfNoneMatch: '*',
        ...retention,
      });
      try {
        await aws.ask(step, deadline, (client, options) => client.send(command, options));
        return true;
      } catch (error) {
        if (error instanceof UpstreamError && error.facts.status === 412) return false;
        throw error;
      }
    },
  };
}

/** What it downloads the SDK reads from a stream, on every runtime, and from nothing else. */
const streaming = ({ handle }: SdkTransport): SdkTransport => ({
  async handle(request, options) {
    const { response } = await handle(request, options);
    const body = new Blob([new Uint8Array(response.body)]).stream() as unknown as Uint8Array;
    return { response: { ...response, body } };
  },
});
