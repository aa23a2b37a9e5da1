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

/** Messages of `../shared/vectors/fuse/<name>`, in order; its README tells the format. */
export function readTranscript(name: string): Exchange[] {
  const path = join(__dirname, '../../../shared/vectors/fuse', name);
  const exchanges: Exchange[] = [];
  readFileSync(path, 'utf8')
    .split('\n')
    .forEach((text, at) => {
      const line = at + 1;
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
