// Original file: csi/csi.proto


export interface DeleteSnapshotResponseInit {
}

export interface DeleteSnapshotResponse {
}
