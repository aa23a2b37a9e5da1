// Original file: csi/csi.proto

import type { Int64ValueInit as _google_protobuf_Int64ValueInit, Int64Value as _google_protobuf_Int64Value } from '../../google/protobuf/Int64Value.ts';
import type { Long } from '@grpc/proto-loader';

export interface GetCapacityResponseInit {
  'available_capacity'?: (number | string | Long);
  'maximum_volume_size'?: (_google_protobuf_Int64ValueInit | null);
  'minimum_volume_size'?: (_google_protobuf_Int64ValueInit | null);
}

export interface GetCapacityResponse {
  'available_capacity': (string);
  'maximum_volume_size': (_google_protobuf_Int64Value | null);
  'minimum_volume_size': (_google_protobuf_Int64Value | null);
}
