// Original file: csi/csi.proto


export interface ControllerGetVolumeRequestInit {
  'volume_id'?: (string);
}

export interface ControllerGetVolumeRequest {
  'volume_id': (string);
}
