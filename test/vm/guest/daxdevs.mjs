// daxdevs.mjs switch DEVICE MODE     brings a device into a mode, by the product's own code
// daxdevs.mjs try DEVICE MODE        the same, and back again
// daxdevs.mjs held DEVICE MODE       tries it while another process has the device open
// Prints one JSON object: the drivers that the device had, one after the other, or the refusal.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { usersOf } from '../dist/native/proc.js';
import { Daxdevs } from '../dist/pool/daxdevs.js';

const [action, device, mode] = process.argv.slice(2);
const daxdevs = new Daxdevs(usersOf);
const driver = () => daxdevs.get(device).driver ?? 'none';

const drivers = [driver()];
let refused;
let holder;
if (action === 'held') {
  const fd = openSync(device, 'r+');
  holder = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  closeSync(fd);
}
try {
  const { restore } = daxdevs.switchTo(device, mode);
  drivers.push(driver());
  if (action === 'try') {
    restore();
    drivers.push(driver());
  }
} catch (error) {
  refused = { code: error.code, message: error.message };
} finally {
  if (holder !== undefined) {
    const gone = new Promise((resolve) => holder.once('exit', resolve));
    holder.kill();
    await gone;
  }
}
process.stdout.write(JSON.stringify({ drivers, refused }));
