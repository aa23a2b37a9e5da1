// Original file: csi/csi.proto


export interface DeleteVolumeResponseInit {
}

export interface DeleteVolumeResponse {
}
