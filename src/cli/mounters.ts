import { Option } from 'commander';
import { MounterAcks } from '../controller/mounter-acks.ts';
import { MounterClient } from '../mounter/client.ts';
import { socketArgument } from './options.ts';

/** `--mounter SOCKET`, as often as there are mounters to ask. */
export function mounterOption(text: string): Option {
  const parse = (given: string, before: readonly string[]) => [...before, socketArgument(given)];
  return new Option('--mounter <socket>', text).argParser(parse).default([], 'none');
}

export function mounterAcks(sockets: readonly string[]): MounterAcks {
  return new MounterAcks(
    sockets.map((name) => {
      const client = new MounterClient(name);
      return { name, status: () => client.status() };
    }),
  );
}
