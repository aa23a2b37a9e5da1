import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hex } from './messages.ts';

/** What the kernel sent, with the server's answer, or what the server sent unasked. */
export type Exchange =
  | { kind: 'request'; line: number; bytes: Uint8Array; reply: Recorded | undefined }
  | { kind: 'notification'; line: number; bytes: Uint8Array };

/** `isWhole` is false where the transcript has only the beginning of the message (`…`). */
export interface Recorded {
  readonly bytes: Uint8Array;
  readonly isWhole: boolean;
}

/** What a program did next, or what it or an ioctl got. */
export interface Remark {
  readonly kind: 'did' | 'got';
  readonly line: number;
  readonly text: string;
}

function linesOf(name: string): { line: number; text: string }[] {
  const path = join(__dirname, '../../../shared/vectors/fuse', name);
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.map((text, at) => ({ line: at + 1, text }));
}

/** The lines of a transcript that are no messages, in order. */
export function readRemarks(name: string): Remark[] {
  return linesOf(name)
    .filter(({ text }) => text.startsWith('# ') || text.startsWith('= '))
    .map(({ line, text }) => ({
      kind: text[0] === '#' ? 'did' : 'got',
      line,
      text: text.slice(2),
    }));
}

/** Messages of `../shared/vectors/fuse/<name>`, in order; its README tells the format. */
export function readTranscript(name: string): Exchange[] {
  const exchanges: Exchange[] = [];
  linesOf(name).forEach(({ line, text }) => {
    const isWhole = !text.endsWith('…');
    const digits = text.slice(2).replace('…', '');
    if (text.startsWith('< ')) {
      exchanges.push({ kind: 'request', line, bytes: hex(digits), reply: undefined });
    } else if (text.startsWith('> ')) {
      const bytes = hex(digits);
      const last = exchanges.at(-1);
      if (last?.kind === 'request' && uniqueOf(bytes) === uniqueOf(last.bytes)) {
        last.reply = { bytes, isWhole };
      } else {
        exchanges.push({ kind: 'notification', line, bytes });
      }
    }
  });
  return exchanges;
}

/** At the same place in requests and replies. */
function uniqueOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(8, 16)).toString('hex');
}
