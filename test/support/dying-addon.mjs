// Loaded with `node --import` before the product: this process kills itself with SIGKILL at a
// chosen store to shared memory. FAMFS_TEST_DIE_AT is how many stores are done whole; a fraction is
// the part of the next one that is done, so 0.5 is half of the first store and nothing after it.
const dieAt = Number(process.env.FAMFS_TEST_DIE_AT);
const dlopen = process.dlopen;
let stores = 0;

function die() {
  process.kill(process.pid, 'SIGKILL');
  for (;;); // it has no time to come back from
}

/** `store(part)` does that part of one store, 0 < part ≤ 1. */
function count(store) {
  const part = Math.min(1, dieAt - stores);
  if (part > 0) store(part);
  stores += part;
  if (stores >= dieAt) die();
}

process.dlopen = (module, ...rest) => {
  dlopen.call(process, module, ...rest);
  const { copyIn, publish } = module.exports;
  module.exports = {
    ...module.exports,
    copyIn: (handle, offset, bytes, writeBack) =>
      count((part) => copyIn(handle, offset, bytes.subarray(0, part * bytes.length), writeBack)),
    publish: (handle, offset, word) =>
      count((part) => {
        if (part === 1) publish(handle, offset, word); // 8 aligned bytes: all of them or none
      }),
  };
};
