// Original file: csi/csi.proto


export interface NodeUnpublishVolumeRequestInit {
  'volume_id'?: (string);
  'target_path'?: (string);
}

export interface NodeUnpublishVolumeRequest {
  'volume_id': (string);
  'target_path': (string);
}
