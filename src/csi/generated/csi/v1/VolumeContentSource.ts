// Original file: csi/csi.proto


export interface _csi_v1_VolumeContentSource_SnapshotSourceInit {
  'snapshot_id'?: (string);
}

export interface _csi_v1_VolumeContentSource_SnapshotSource {
  'snapshot_id': (string);
}

export interface _csi_v1_VolumeContentSource_VolumeSourceInit {
  'volume_id'?: (string);
}

export interface _csi_v1_VolumeContentSource_VolumeSource {
  'volume_id': (string);
}

export interface VolumeContentSourceInit {
  'snapshot'?: (_csi_v1_VolumeContentSource_SnapshotSourceInit | null);
  'volume'?: (_csi_v1_VolumeContentSource_VolumeSourceInit | null);
  'type'?: "snapshot"|"volume";
}

export interface VolumeContentSource {
  'snapshot'?: (_csi_v1_VolumeContentSource_SnapshotSource | null);
  'volume'?: (_csi_v1_VolumeContentSource_VolumeSource | null);
  'type'?: "snapshot"|"volume";
}
