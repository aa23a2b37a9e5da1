// Original file: csi/csi.proto


export interface ControllerUnpublishVolumeRequestInit {
  'volume_id'?: (string);
  'node_id'?: (string);
  'secrets'?: ({[key: string]: string});
}

export interface ControllerUnpublishVolumeRequest {
  'volume_id': (string);
  'node_id': (string);
  'secrets': ({[key: string]: string});
}
