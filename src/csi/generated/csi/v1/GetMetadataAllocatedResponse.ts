// Original file: csi/csi.proto

import type { BlockMetadataTypeInit as _csi_v1_BlockMetadataTypeInit, BlockMetadataType as _csi_v1_BlockMetadataType } from '../../csi/v1/BlockMetadataType.ts';
import type { BlockMetadataInit as _csi_v1_BlockMetadataInit, BlockMetadata as _csi_v1_BlockMetadata } from '../../csi/v1/BlockMetadata.ts';
import type { Long } from '@grpc/proto-loader';

export interface GetMetadataAllocatedResponseInit {
  'block_metadata_type'?: (_csi_v1_BlockMetadataTypeInit);
  'volume_capacity_bytes'?: (number | string | Long);
  'block_metadata'?: (_csi_v1_BlockMetadataInit)[];
}

export interface GetMetadataAllocatedResponse {
  'block_metadata_type': (_csi_v1_BlockMetadataType);
  'volume_capacity_bytes': (string);
  'block_metadata': (_csi_v1_BlockMetadata)[];
}
