// Original file: csi/csi.proto


export interface NodeGetVolumeStatsRequestInit {
  'volume_id'?: (string);
  'volume_path'?: (string);
  'staging_target_path'?: (string);
}

export interface NodeGetVolumeStatsRequest {
  'volume_id': (string);
  'volume_path': (string);
  'staging_target_path': (string);
}
