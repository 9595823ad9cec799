/** Whether a text has a control character. What is printable ASCII is told without Unicode's tables, which take long to read. */
export const hasControls = (text: string): boolean => !/^[ -~]*$/.test(text) && /\p{Cc}/u.test(text);
