/** What a process did to its files, in order, and what it acknowledged on stdout between. */
export type Operation =
  | { readonly kind: 'write'; readonly file: string; readonly offset: number; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly file: string; readonly size: number }
  | { readonly kind: 'sync'; readonly file: string }
  | { readonly kind: 'acknowledged'; readonly index: number };

const call = /^\d+ +(\w+)\((\d+)<([^>]*)>(?:, (.*))?\) += (-?\d+)/;
const unfinished = /^(\d+) +(.*) <unfinished \.\.\.>$/;
const resumed = /^(\d+) +<\.\.\. \w+ resumed>(.*)$/;

/** Reads what `strace -f -y -xx` wrote; of other files than these in the folder nothing. */
export async function readTrace(
  lines: AsyncIterable<string>,
  folder: string,
  files: readonly string[],
): Promise<Operation[]> {
  const begun = new Map<string, string>();
  const operations: Operation[] = [];
  for await (const line of lines) {
    const [, waiting, head] = unfinished.exec(line) ?? [];
    if (waiting !== undefined) {
      begun.set(waiting, `${waiting} ${head}`);
      continue;
    }
    const [, back, tail] = resumed.exec(line) ?? [];
    const operation = operationOf(back === undefined ? line : `${begun.get(back)}${tail}`, folder, files);
    if (operation !== undefined) operations.push(operation);
  }
  return operations;
}

function operationOf(line: string, folder: string, files: readonly string[]): Operation | undefined {
  const [, name, descriptor, hexPath, rest = '', result] = call.exec(line) ?? [];
  if (name === undefined || Number(result) < 0) return undefined;
  const path = fromHex(hexPath ?? '');
  if (name === 'write' && descriptor === '1') {
    const [, index] = /^ack (\d+)/.exec(bytesIn(rest).toString()) ?? [];
    return index === undefined ? undefined : { kind: 'acknowledged', index: Number(index) };
  }
  const file = files.find((one) => path === `${folder}/${one}`);
  if (file === undefined) return undefined;
  if (name === 'pwrite64') {
    const offset = Number(rest.slice(rest.lastIndexOf(',') + 1));
    return { kind: 'write', file, offset, data: bytesIn(rest).subarray(0, Number(result)) };
  }
  if (name === 'ftruncate') return { kind: 'truncate', file, size: Number(rest) };
  if (name === 'fsync' || name === 'fdatasync') return { kind: 'sync', file };
  throw new Error(`${name} on ${file} is not understood`);
}

/** The first quoted string, each byte of which is written as \xNN. */
const bytesIn = (text: string): Buffer => Buffer.from((/"([^"]*)"/.exec(text)?.[1] ?? '').replaceAll('\\x', ''), 'hex');

/** A path, which some versions write in hex as well. */
const fromHex = (path: string): string =>
  path.startsWith('\\x') ? Buffer.from(path.replaceAll('\\x', ''), 'hex').toString() : path;
