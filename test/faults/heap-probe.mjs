import { getHeapCodeStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

// Loaded into a server before its code (`--import`): on SIGUSR2 it collects all garbage and says on stderr what is left.
if (isMainThread) {
  setFlagsFromString('--expose-gc');
  // What is compiled comes and goes as V8 likes: it neither goes, nor is it counted.
  setFlagsFromString('--no-flush-bytecode');
  const collect = runInNewContext('gc');
  process.on('SIGUSR2', async () => {
    // What the first leaves for a finalizer, the next collects.
    for (let times = 0; times < 2; times++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    collect();
    const { heapUsed, external } = process.memoryUsage();
    const { code_and_metadata_size: code, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
    process.stderr.write(`${JSON.stringify({ event: 'heap', bytes: heapUsed + external - code - bytecode })}\n`);
  });
}
