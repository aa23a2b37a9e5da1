// One benchmark, in this process: `node --expose-gc bench/one.mjs NAME`. Its rows, as JSON, are the
// one thing on stdout.
import { Report } from './report.mjs';

const { run } = await import(`./${process.argv[2]}.mjs`);
const report = new Report();
await run(report);
process.stdout.write(JSON.stringify(report.rows));
