// Original file: csi/csi.proto


export interface GetSnapshotRequestInit {
  'snapshot_id'?: (string);
  'secrets'?: ({[key: string]: string});
}

export interface GetSnapshotRequest {
  'snapshot_id': (string);
  'secrets': ({[key: string]: string});
}
