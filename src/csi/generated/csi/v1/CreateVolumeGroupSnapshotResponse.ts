// Original file: csi/csi.proto

import type { VolumeGroupSnapshotInit as _csi_v1_VolumeGroupSnapshotInit, VolumeGroupSnapshot as _csi_v1_VolumeGroupSnapshot } from '../../csi/v1/VolumeGroupSnapshot.ts';

export interface CreateVolumeGroupSnapshotResponseInit {
  'group_snapshot'?: (_csi_v1_VolumeGroupSnapshotInit | null);
}

export interface CreateVolumeGroupSnapshotResponse {
  'group_snapshot': (_csi_v1_VolumeGroupSnapshot | null);
}
