// Original file: csi/csi.proto


export interface DeleteVolumeGroupSnapshotResponseInit {
}

export interface DeleteVolumeGroupSnapshotResponse {
}
