// Original file: csi/csi.proto


export interface NodeUnstageVolumeRequestInit {
  'volume_id'?: (string);
  'staging_target_path'?: (string);
}

export interface NodeUnstageVolumeRequest {
  'volume_id': (string);
  'staging_target_path': (string);
}
