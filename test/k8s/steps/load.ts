import { claim, pod } from './objects.ts';
import { eventually, NAMESPACE, podsReady, type Story } from './story.ts';

export const LOADER = 'loader';

/**
 * A program that writes and reads back its volume without a pause, through a mapping and through
 * the file, and ends at the first error. /tmp/beat has how often, and the longest turn in ms.
 */
const PROGRAM = `
import mmap, os, time
turn, longest = 0, 0.0
while True:
    begin = time.monotonic()
    turn += 1
    with open('/data/data', 'r+b') as file, mmap.mmap(file.fileno(), 0) as memory:
        at = turn % (len(memory) // 4096) * 4096
        memory[at:at + 8] = turn.to_bytes(8, 'little')
        memory.flush(at, 4096)
    with open('/data/data', 'rb') as file:
        file.seek(at)
        found = int.from_bytes(file.read(8), 'little')
    assert found == turn, (found, turn)
    if turn > 1:
        longest = max(longest, time.monotonic() - begin)
    with open('/tmp/beat.new', 'w') as beat:
        beat.write(f'{turn} {longest * 1000:.0f}')
    os.rename('/tmp/beat.new', '/tmp/beat')
    time.sleep(0.01)
`;

interface Beat {
  readonly turns: number;
  readonly longestMs: number;
}

/** How far the load has come; an error with what it said where it has ended. */
async function beatOf({ cluster }: Story): Promise<Beat> {
  const { status } = await cluster.api.get('pods', LOADER, NAMESPACE);
  if (status.phase !== 'Running') {
    throw new Error(`the load is ${status.phase}: ${await cluster.kubectl('logs', LOADER)}`);
  }
  const text = await cluster.kubectl('exec', LOADER, '--', 'cat', '/tmp/beat');
  const [turns = 0, longestMs = 0] = text.split(' ').map(Number);
  return { turns, longestMs };
}

async function goesOn(story: Story): Promise<Beat> {
  const { turns } = await beatOf(story);
  return eventually(story, 'the load goes on', async () => {
    const beat = await beatOf(story);
    return beat.turns > turns + 10 ? beat : undefined;
  });
}

/** Starts the load where it is not there yet, and returns the name of its node. */
export async function loadedNode(story: Story): Promise<string> {
  const { cluster } = story;
  if ((await cluster.api.find('pods', LOADER, NAMESPACE)) === undefined) {
    await cluster.apply([
      claim('load', '16Mi'),
      pod(LOADER, { claim: 'load', command: ['python3', '-u', '-c', PROGRAM] }),
    ]);
    await podsReady(story, [LOADER]);
    await eventually(story, 'the load runs', async () => {
      return (await beatOf(story)).turns > 10 || undefined;
    });
  }
  return (await cluster.api.get('pods', LOADER, NAMESPACE)).spec.nodeName;
}

/** Does something while the load runs, and sees it go on afterwards without an error. */
export async function underLoad(story: Story, what: () => Promise<void>): Promise<string> {
  await loadedNode(story);
  const { turns } = await goesOn(story);
  await what();
  const after = await goesOn(story);
  return `${after.turns - turns} turns meanwhile, the longest ever ${after.longestMs} ms`;
}

export async function endLoad({ cluster }: Story): Promise<void> {
  await cluster.kubectl('delete', '--ignore-not-found', `pod/${LOADER}`, 'pvc/load');
}
