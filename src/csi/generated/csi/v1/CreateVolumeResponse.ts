// Original file: csi/csi.proto

import type { VolumeInit as _csi_v1_VolumeInit, Volume as _csi_v1_Volume } from '../../csi/v1/Volume.ts';

export interface CreateVolumeResponseInit {
  'volume'?: (_csi_v1_VolumeInit | null);
}

export interface CreateVolumeResponse {
  'volume': (_csi_v1_Volume | null);
}
