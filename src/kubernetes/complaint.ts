import type { Logger } from 'pino';
import { messageOf } from '../base/errors.ts';

/**
 * Tells of something that is tried again and again when it begins to fail, and when it works again:
 * two lines, however long it lasts in between.
 */
export class Complaint {
  readonly #log: Logger;
  readonly #subject: string;
  #said: string | undefined;

  constructor(log: Logger, subject: string) {
    this.#log = log;
    this.#subject = subject;
  }

  failed(error: unknown): void {
    const kind = kindOf(error);
    this.#log[kind === this.#said ? 'debug' : 'warn'](`${this.#subject}: ${messageOf(error)}`);
    this.#said = kind;
  }

  worked(): void {
    if (this.#said !== undefined) this.#log.info(`${this.#subject}: works again`);
    this.#said = undefined;
  }
}

/** Of a broken connection, each try has other words. */
function kindOf(error: unknown): string {
  const { status, reason } = error as { status?: number; reason?: string };
  return status === undefined ? messageOf(error) : `${status} ${reason}`;
}
