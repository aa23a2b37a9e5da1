// outlive-server.mjs FILE DATASET SOCKET
// Maps a file, kills the process that serves its mount, and compares every byte with the dataset
// while another takes over. Prints as JSON which server was killed and which one followed.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Mapping } from '../dist/native/mapping.js';
import { poolStatus } from './pool-status.mjs';

const [file, dataset, socket] = process.argv.slice(2);

const expected = readFileSync(dataset);
const memory = Mapping.open(file, { writable: false });
const { serverPid: killed, serverRestarts: restarts } = await poolStatus(socket);
process.kill(killed, 'SIGKILL');
const seen = Buffer.alloc(expected.length);
memory.copyOut(0, seen);
const same = Buffer.compare(seen, expected) === 0;
memory[Symbol.dispose]();

let status = await poolStatus(socket);
for (let tries = 0; status.serverRestarts === restarts || !status.mount; tries++) {
  if (tries > 600) throw new Error('no server followed the one that was killed');
  await delay(100);
  status = await poolStatus(socket);
}
process.stdout.write(JSON.stringify({ same, killed, followedBy: status.serverPid }));
