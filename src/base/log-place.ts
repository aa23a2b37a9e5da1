/** A place in a log that may be rewritten: positions of two generations cannot be compared. */
export interface LogPlace {
  readonly generation: number;
  /** Index of the next entry to apply. */
  readonly position: number;
}

export const LOG_START: LogPlace = { generation: 0, position: 0 };

/** Whether who is at `at` has seen all that is before `wanted`: a later generation has it all. */
export function isReached(at: LogPlace, wanted: LogPlace): boolean {
  if (at.generation !== wanted.generation) return at.generation > wanted.generation;
  return at.position >= wanted.position;
}

export function describePlace({ generation, position }: LogPlace): string {
  return generation === 0 ? `${position}` : `${position} of generation ${generation}`;
}
