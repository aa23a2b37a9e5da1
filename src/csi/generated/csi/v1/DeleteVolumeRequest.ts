// Original file: csi/csi.proto


export interface DeleteVolumeRequestInit {
  'volume_id'?: (string);
  'secrets'?: ({[key: string]: string});
}

export interface DeleteVolumeRequest {
  'volume_id': (string);
  'secrets': ({[key: string]: string});
}
