import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { ApiFault } from '../../src/kubernetes/api-fault.ts';
import { Complaint } from '../../src/kubernetes/complaint.ts';

test('a complaint is two lines, however long it lasts', () => {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line) => lines.push(JSON.parse(line).msg) });
  const complaint = new Complaint(log, 'watch of nodes');
  complaint.worked();
  for (const words of ['socket hang up', 'read ECONNRESET', 'aborted']) {
    complaint.failed(new ApiFault('GET /nodes', 0, 'ECONNRESET', words));
  }
  complaint.failed(new ApiFault('GET /nodes', 403, 'Forbidden', 'may not'));
  complaint.worked();
  complaint.worked();
  expect(lines).toEqual([
    'watch of nodes: kubernetes: GET /nodes: ECONNRESET: socket hang up',
    'watch of nodes: kubernetes: GET /nodes: 403 Forbidden: may not',
    'watch of nodes: works again',
  ]);
});
