import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** The steps of a hand-over that a proxy sees, in their order. */
export const STEPS = ['asked', 'stopped', 'serving', 'let go'] as const;
export type Step = (typeof STEPS)[number];

/**
 * Stands between a new keeper, which is told `path`, and the old one at `keeperPath`, and relays
 * the lines of a hand-over up to `step`. That line it keeps, and calls `act` instead; the
 * connections end when either keeper ends its own.
 */
export async function startProxy(
  path: string,
  keeperPath: string,
  step: Step,
  act: () => void,
): Promise<{ reached: Promise<void>; stop(): void }> {
  const sockets: Socket[] = [];
  let reach: () => void = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const server = createServer((asker) => {
    // The path is the new keeper's, which will listen there itself.
    server.close();
    const keeper = connect(keeperPath);
    sockets.push(asker, keeper);
    let seen = 0;
    const relay = (from: Socket, to: Socket) => {
      from.on('error', () => {});
      from.on('close', () => to.destroy());
      const lines = createInterface({ input: from });
      // readline repeats its input's errors; a killed keeper resets its connection.
      lines.on('error', () => {});
      lines.on('line', (line) => {
        if (STEPS[seen++] !== step) return to.write(`${line}\n`);
        act();
        return reach();
      });
    };
    relay(asker, keeper);
    relay(keeper, asker);
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    reached,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
