import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signCheckpoint } from '../../src/ledger/tree/checkpoint.ts';
import { noteSigner } from '../../src/ledger/tree/note.ts';
import type { Sink } from '../../src/sinks/sink.ts';
import { contractCheckpoint, describeSink, type SinkUnderTest } from '../contracts/sink.ts';
import { refusal, startS3 } from '../fakes/s3.ts';
import { type FakeCall, type FakeServer, startFake } from '../fakes/server.ts';
import { openSink, readFrom } from './rig.ts';
import { startWitness } from './witness.ts';

const read = readFrom({ token: 'a-token' });
const token = { store: 'here', name: 'token' };
const linesOf = (body: string): string[] => body.trimEnd().split('\n');

/** A sink over HTTP; `textsOf` takes apart what a call brought. */
async function overHttp(
  open: (url: string) => Promise<Sink>,
  textsOf: (body: string) => readonly string[],
  answer: { status: number; body?: string },
): Promise<SinkUnderTest> {
  const taken: FakeCall[] = [];
  const server: FakeServer = await startFake((call) => {
    taken.push(call);
    return answer;
  });
  return {
    sink: await open(server.url),
    arrived: async () => taken.flatMap(({ body }) => textsOf(body)),
    ...faults(server),
  };
}

const faults = (server: FakeServer, refused = { status: 503 }) => ({
  async fail() {
    server.instead = () => refused;
    return async () => {
      server.instead = undefined;
    };
  },
  hang() {
    server.instead = () => 'hang';
  },
  end: server.close,
});

describeSink(
  'http',
  (send) =>
    overHttp(
      (url) => openSink({ kind: 'http', url, send, key: token, format: 'native' }, { read }),
      send === 'records' ? linesOf : (body) => [body],
      { status: 204 },
    ),
  { takes: ['records', 'checkpoints'] },
);

describeSink(
  'splunk-hec',
  () =>
    overHttp((url) => openSink({ kind: 'splunk-hec', url, token, format: 'ocsf' }, { read }), linesOf, {
      status: 200,
      body: '{"code":0}',
    }),
  { takes: ['records'] },
);

interface Exported {
  resourceLogs: { scopeLogs: { logRecords: { body: { stringValue: string } }[] }[] }[];
}

describeSink(
  'otlp',
  () =>
    overHttp(
      (url) => openSink({ kind: 'otlp', url }),
      (body) =>
        (JSON.parse(body) as Exported).resourceLogs
          .flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords))
          .map(({ body: { stringValue } }) => stringValue),
      { status: 200, body: '{}' },
    ),
  { takes: ['records'] },
);

describeSink(
  's3',
  async (send) => {
    const s3 = await startS3();
    const entry = { kind: 's3', bucket: 'audit', region: 'eu-west-1', endpoint: s3.server.url, send };
    return {
      sink: await openSink(entry, { env: s3.env }),
      arrived: async () =>
        [...s3.objects.values()].flatMap(({ body }) => (send === 'records' ? linesOf(body) : [body])),
      ...faults(s3.server, refusal(503, 'SlowDown')),
    };
  },
  { takes: ['records', 'checkpoints'], once: 'an object that is there is left alone' },
);

const inFile = async (send: 'records' | 'checkpoints'): Promise<SinkUnderTest> => {
  const folder = mkdtempSync(join(tmpdir(), 'sinks-'));
  const home = join(folder, 'here');
  mkdirSync(home);
  const path = join('here', send === 'records' ? 'audit.ndjson' : 'heads');
  return {
    sink: await openSink({ kind: 'file', path, send }, { folder }),
    async arrived() {
      if (send === 'records') return linesOf(readFileSync(join(folder, path), 'utf8'));
      const files = readdirSync(join(folder, path), { recursive: true, withFileTypes: true, encoding: 'utf8' });
      return files
        .filter((file) => file.isFile())
        .map((file) => readFileSync(join(file.parentPath, file.name), 'utf8'));
    },
    async fail() {
      renameSync(home, `${home}-gone`);
      return async () => renameSync(`${home}-gone`, home);
    },
    end: async () => rmSync(folder, { recursive: true }),
  };
};

describeSink('file', () => inFile('records'), { takes: ['records'] });
describeSink('file', () => inFile('checkpoints'), {
  takes: ['checkpoints'],
  once: 'a file that is there is left alone',
});

describeSink(
  'stdout',
  async () => {
    const lines: string[] = [];
    let closed = false;
    const { write } = process.stdout;
    process.stdout.write = ((text: string, done: (error?: Error) => void) => {
      if (closed) done(new Error('EPIPE'));
      else {
        lines.push(...linesOf(text));
        done();
      }
      return true;
    }) as typeof write;
    return {
      sink: await openSink({ kind: 'stdout', format: 'cloudevents' }),
      arrived: async () => lines,
      async fail() {
        closed = true;
        return async () => {
          closed = false;
        };
      },
      async end() {
        process.stdout.write = write;
      },
    };
  },
  { takes: ['records'] },
);

const signer = noteSigner(contractCheckpoint.log, new Uint8Array(32).fill(3));
const signed = signCheckpoint(signer, contractCheckpoint.size, new Uint8Array(32).fill(4));

describeSink(
  'witness',
  async () => {
    const witness = await startWitness(signer.vkey);
    const inner = await openSink({ kind: 'witness', url: witness.server.url, key: witness.vkey });
    const notes: string[] = [];
    return {
      // The contract's checkpoint is signed by nobody; the same tree, by the log that this witness knows.
      sink: {
        async publish(checkpoint, until) {
          const note = await inner.publish?.({ ...checkpoint, note: signed }, until);
          notes.push(`${contractCheckpoint.note}${note}`);
          return note;
        },
      },
      arrived: async () => notes,
      ...faults(witness.server),
    };
  },
  { takes: ['checkpoints'] },
);
