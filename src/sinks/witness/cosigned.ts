import type { Deadline } from '../../lib/deadline.ts';
import { checkpointCursor, cursorName } from '../cursor.ts';
import type { SinkSource } from '../source.ts';

/** The newest checkpoint that a witness cosigned, with the cosignatures of all that have cosigned it; undefined: none has. */
export async function cosignedNote(
  witnesses: readonly string[],
  { read }: Pick<SinkSource['texts'], 'read'>,
  deadline: Deadline,
): Promise<string | undefined> {
  const texts = await Promise.all(witnesses.map((name) => read(cursorName(name), deadline)));
  const taken = texts.flatMap((text) => {
    const { end = 0, note } = checkpointCursor(text) ?? {};
    return note === undefined ? [] : [{ end, note }];
  });
  const most = Math.max(0, ...taken.map(({ end }) => end));
  const [first, ...others] = taken.filter(({ end }) => end === most).map(({ note }) => note);
  if (first === undefined) return undefined;
  const lines = new Set(signatures(first));
  for (const other of others)
    if (textOf(other) === textOf(first)) for (const line of signatures(other)) lines.add(line);
  return `${textOf(first)}\n${[...lines].map((line) => `${line}\n`).join('')}`;
}

const gapIn = (note: string): number => note.lastIndexOf('\n\n') + 1;
const textOf = (note: string): string => note.slice(0, gapIn(note));
const signatures = (note: string): string[] => note.slice(gapIn(note) + 1, -1).split('\n');
