// mount-calls MOUNTS.JS: makes one call of src/native/mounts.ts for each line of JSON, [name,
// …arguments], and prints what came of it as a line of JSON. `mountFuse` opens /dev/fuse itself,
// gives what was listed of the mount, and unmounts it: nobody would serve it.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const module = pathToFileURL(process.argv[2]);
const mounts = await import(module.href);
const { FuseDevice } = await import(new URL('fuse-device.js', module).href);

const CALLS = {
  bindMount: (options) => mounts.bindMount(options),
  bindAndUnmount: (options, rounds) => {
    for (let round = 0; round < rounds; round++) {
      mounts.bindMount(options);
      mounts.unmount(options.target, { detach: true });
    }
  },
  mountFuse: (options) => {
    const device = FuseDevice.open();
    mounts.mountFuse({ ...options, fuseFd: device.fd });
    const listed = mounts.mountsAt(options.target);
    mounts.unmount(options.target, { detach: true });
    device[Symbol.dispose]();
    return listed;
  },
};

function outcomeOf(name, args) {
  try {
    return { value: CALLS[name](...args) };
  } catch (error) {
    return { code: error.code, cause: error.cause?.code, message: error.message };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(outcomeOf(name, args))}\n`);
}
