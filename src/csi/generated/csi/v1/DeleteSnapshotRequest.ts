// Original file: csi/csi.proto


export interface DeleteSnapshotRequestInit {
  'snapshot_id'?: (string);
  'secrets'?: ({[key: string]: string});
}

export interface DeleteSnapshotRequest {
  'snapshot_id': (string);
  'secrets': ({[key: string]: string});
}
