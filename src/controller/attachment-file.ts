import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { codeOf, Fault, messageOf } from '../base/errors.ts';
import { ACCESS_MODES } from '../csi/capability.ts';
import type { Attachment, Attachments } from './attachments.ts';

const SCHEMA = z.strictObject({
  version: z.literal(1),
  attachments: z.array(
    z.strictObject({
      volumeId: z.string().min(1),
      nodeId: z.string().min(1),
      readonly: z.boolean(),
      mode: z.enum(ACCESS_MODES),
    }),
  ),
});

/**
 * Attachments in one JSON file, for a controller without Kubernetes. A change is written beside the
 * file, synced, and renamed over it before it counts: a controller killed at any point finds the
 * state before or after the change. One controller at a time may use a file.
 */
export class AttachmentFile implements Attachments {
  readonly #path: string;
  #attachments: readonly Attachment[];
  #lastChange: Promise<unknown> = Promise.resolve();

  private constructor(path: string, attachments: readonly Attachment[]) {
    this.#path = path;
    this.#attachments = attachments;
  }

  /**
   * Reads the file; none is an empty list, and its directory is made. CORRUPT when it is not what
   * this class writes: it is left as it is, since a guess could detach a volume that is mapped.
   */
  static async open(path: string): Promise<AttachmentFile> {
    await mkdir(dirname(path), { recursive: true });
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return new AttachmentFile(path, []);
      throw new Fault('IO', `${path}: could not be read (${messageOf(error)})`, { cause: error });
    }
    return new AttachmentFile(path, decode(path, text));
  }

  list(): readonly Attachment[] {
    return this.#attachments;
  }

  add(attachment: Attachment): Promise<void> {
    const { volumeId, nodeId } = attachment;
    return this.#change((all) => [
      ...all.filter((one) => !matches(one, volumeId, nodeId)),
      attachment,
    ]);
  }

  remove(volumeId: string, nodeId: string | undefined): Promise<void> {
    return this.#change((all) => all.filter((one) => !matches(one, volumeId, nodeId)));
  }

  /** One change after the other; memory follows the disk, so a failed write changes nothing. */
  #change(next: (all: readonly Attachment[]) => readonly Attachment[]): Promise<void> {
    const done = this.#lastChange.then(async () => {
      const attachments = next(this.#attachments);
      await this.#write(attachments);
      this.#attachments = attachments;
    });
    this.#lastChange = done.catch(() => {});
    return done;
  }

  async #write(attachments: readonly Attachment[]): Promise<void> {
    const temporary = `${this.#path}.new`;
    try {
      await writeSynced(
        temporary,
        `${JSON.stringify({ version: 1, attachments }, undefined, 1)}\n`,
      );
      await rename(temporary, this.#path);
      await syncDirectory(dirname(this.#path));
    } catch (error) {
      throw new Fault(
        'IO',
        `${this.#path}: could not be written (${messageOf(error)}); the change does not count, ` +
          'make room or permit writing and retry',
        { cause: error },
      );
    }
  }
}

function matches(one: Attachment, volumeId: string, nodeId: string | undefined): boolean {
  return one.volumeId === volumeId && (nodeId === undefined || one.nodeId === nodeId);
}

function decode(path: string, text: string): readonly Attachment[] {
  let problem: string;
  try {
    const parsed = SCHEMA.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data.attachments;
    const [issue] = parsed.error.issues;
    problem = `${issue?.path.join('.') || 'content'}: ${issue?.message}`;
  } catch (error) {
    problem = messageOf(error);
  }
  throw new Fault(
    'CORRUPT',
    `${path}: not a list of attachments (${problem}); it is left as it is. Restore it, or, once ` +
      'no node has a volume mounted, remove it and start again',
  );
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the rename itself survive a power cut. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
