// Original file: csi/csi.proto

import type { SnapshotInit as _csi_v1_SnapshotInit, Snapshot as _csi_v1_Snapshot } from '../../csi/v1/Snapshot.ts';
import type { TimestampInit as _google_protobuf_TimestampInit, Timestamp as _google_protobuf_Timestamp } from '../../google/protobuf/Timestamp.ts';

export interface VolumeGroupSnapshotInit {
  'group_snapshot_id'?: (string);
  'snapshots'?: (_csi_v1_SnapshotInit)[];
  'creation_time'?: (_google_protobuf_TimestampInit | null);
  'ready_to_use'?: (boolean);
}

export interface VolumeGroupSnapshot {
  'group_snapshot_id': (string);
  'snapshots': (_csi_v1_Snapshot)[];
  'creation_time': (_google_protobuf_Timestamp | null);
  'ready_to_use': (boolean);
}
