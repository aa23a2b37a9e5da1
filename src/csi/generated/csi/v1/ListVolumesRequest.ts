// Original file: csi/csi.proto


export interface ListVolumesRequestInit {
  'max_entries'?: (number);
  'starting_token'?: (string);
}

export interface ListVolumesRequest {
  'max_entries': (number);
  'starting_token': (string);
}
