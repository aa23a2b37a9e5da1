// touch-pages.mjs FILE SOCKET r|w
// Maps a file, loads from (and with w stores to) every page of it, unmaps. Prints as JSON how many
// page faults that took, and what the kernel asked of the file's server meanwhile, as the mounter
// at SOCKET counts it: read between mmap and munmap, so no open and no close is among it.
import { Mapping } from '../dist/native/mapping.js';
import { poolStatus } from './pool-status.mjs';

const PAGE_BYTES = 4096;
const [file, socket, access] = process.argv.slice(2);

const memory = Mapping.open(file, { writable: access === 'w' });
const byte = new Uint8Array(1);
const pages = Math.ceil(memory.lengthBytes / PAGE_BYTES);
const { requests: before } = await poolStatus(socket);
const faultsBefore = process.resourceUsage().minorPageFault;
for (let page = 0; page < pages; page++) {
  memory.copyOut(page * PAGE_BYTES, byte);
  if (access === 'w') memory.copyIn(page * PAGE_BYTES, byte);
}
const faults = process.resourceUsage().minorPageFault - faultsBefore;
const { requests: after } = await poolStatus(socket);
memory[Symbol.dispose]();

const upcalls = Object.entries(after)
  .map(([name, count]) => [name, count - (before[name] ?? 0)])
  .filter(([, count]) => count !== 0);
process.stdout.write(JSON.stringify({ pages, faults, upcalls: Object.fromEntries(upcalls) }));
