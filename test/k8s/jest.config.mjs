import base from '../../jest.config.mjs';

/** One story, in order, on one cluster: `npm run test:k8s`. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/k8s/**/*.k8s.ts'],
  testTimeout: 600_000,
  reporters: [],
};
