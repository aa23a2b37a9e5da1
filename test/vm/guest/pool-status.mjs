import { once } from 'node:events';
import { connect } from 'node:net';

/**
 * The first pool's status from the mounter at `socket`. By hand, since the product's client loads
 * a library that takes seconds on an emulated processor.
 */
export async function poolStatus(socket) {
  const connection = connect(socket);
  try {
    connection.write(`${JSON.stringify({ v: 1, id: 1, op: 'status' })}\n`);
    let text = '';
    connection.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
    while (!text.includes('\n')) await once(connection, 'data');
    const { ok, result, error } = JSON.parse(text);
    if (!ok) throw new Error(error.message);
    return result.pools[0];
  } finally {
    connection.destroy();
  }
}
