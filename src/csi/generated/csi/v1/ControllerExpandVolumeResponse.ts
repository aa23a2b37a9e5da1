// Original file: csi/csi.proto

import type { Long } from '@grpc/proto-loader';

export interface ControllerExpandVolumeResponseInit {
  'capacity_bytes'?: (number | string | Long);
  'node_expansion_required'?: (boolean);
}

export interface ControllerExpandVolumeResponse {
  'capacity_bytes': (string);
  'node_expansion_required': (boolean);
}
