import base from '../../jest.config.mjs';

/** One story, in order, on two machines: `npm run test:vm`. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/vm/**/*.vm.ts'],
  testTimeout: 240_000,
  reporters: [],
};
