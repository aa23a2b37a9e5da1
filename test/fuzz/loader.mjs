// `node --import ./test/fuzz/loader.mjs FILE.ts` runs TypeScript from the sources: Node 20 cannot
// by itself, and under Jest a long run would measure Jest's memory.
import { register } from 'node:module';

register('./loader-hooks.mjs', import.meta.url);
