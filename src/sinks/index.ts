import { fileSink } from './file.ts';
import { httpSink } from './http.ts';
import { otlp } from './otlp.ts';
import { s3 } from './s3.ts';
import type { SinkPlugIn } from './sink.ts';
import { splunkHec } from './splunk-hec.ts';
import { stdout } from './stdout.ts';
import { witness } from './witness.ts';

/** Every sink Hallpass knows, by its `kind` in the config. */
export const sinks: readonly SinkPlugIn[] = [fileSink, stdout, httpSink, s3, splunkHec, otlp, witness];
