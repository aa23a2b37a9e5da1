// Original file: csi/csi.proto

import type { Long } from '@grpc/proto-loader';

export interface NodeExpandVolumeResponseInit {
  'capacity_bytes'?: (number | string | Long);
}

export interface NodeExpandVolumeResponse {
  'capacity_bytes': (string);
}
