/** Whether a text has a control character. What is printable ASCII is told without Unicode's tables, which take long to read. */
export const hasControls = (text: string): boolean => !/^[ -~]*$/.test(text) && /\p{Cc}/u.test(text);

/** What JSON leaves as it is and a terminal obeys: the C1 controls, and those by which text changes its direction. */
const obeyed = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** JSON in which they are escaped too: to a program it is the same. */
export const plainJson = (value: unknown, indent?: number): string => plainText(JSON.stringify(value, null, indent));

/** The same of what is JSON text already. */
export const plainText = (json: string): string =>
  json.replace(obeyed, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Text from outside, safe to show in one line: these and all other control characters become `?`. */
export function shown(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f]/g, '?').replace(obeyed, '?');
}
