// pod.mjs write|verify DATASET FILE
// The demo's programs: one maps a file, copies the dataset in and msyncs; the other maps it
// read-only and compares every byte. Prints as JSON how many bytes, and their sha256.
import { copyIn, verify } from '../dist/cli/demo/programs.js';

const [action, dataset, file] = process.argv.slice(2);
const run = { write: copyIn, verify }[action];
process.stdout.write(JSON.stringify(run(dataset, file)));
