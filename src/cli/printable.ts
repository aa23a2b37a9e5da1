/**
 * C0, DEL and C1 controls, and what changes the direction of text: a name of the log, which another
 * host may have written, must neither drive a terminal nor look like another name.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it hides
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r' };

/** One line for a terminal: what could drive it is shown as `\n` or `\u001b`. */
export function printable(line: string): string {
  return line.replace(UNSAFE, (character) => SHORT[character] ?? escaped(character));
}

/** JSON that means the same, with nothing in it that could drive a terminal. */
export function printableJson(value: object): string {
  return JSON.stringify(value).replace(UNSAFE, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
