import { status } from '@grpc/grpc-js';
import { describe, expect, test } from '@jest/globals';
import { Fault, type FaultCode } from '../../src/base/errors.ts';
import { failureOf } from '../../src/csi/status.ts';

describe('status', () => {
  // Codes that the CSI specification gives a meaning that sidecars act on.
  test.each<[FaultCode, keyof typeof status]>([
    ['INVALID', 'INVALID_ARGUMENT'],
    ['NOT_FOUND', 'NOT_FOUND'],
    ['EXISTS', 'ALREADY_EXISTS'],
    ['NO_SPACE', 'RESOURCE_EXHAUSTED'],
    ['LOG_FULL', 'RESOURCE_EXHAUSTED'],
    ['PRECONDITION', 'FAILED_PRECONDITION'],
    ['BUSY', 'ABORTED'],
    ['UNAVAILABLE', 'UNAVAILABLE'],
  ])('tells %s as %s with its words', (code, expected) => {
    const told = failureOf(new Fault(code, 'what happened'), 'id');
    expect(told).toEqual({ code: status[expected], details: 'what happened', foreseen: true });
  });

  test('tells nothing of what was not foreseen, whatever was thrown', () => {
    for (const thrown of [new Error('secret'), 'secret', undefined, { code: 5 }]) {
      const told = failureOf(thrown, '0badf00d');
      expect(told).toMatchObject({ code: status.INTERNAL, foreseen: false });
      expect(told.details).toContain('0badf00d');
      expect(told.details).not.toContain('secret');
    }
  });
});
