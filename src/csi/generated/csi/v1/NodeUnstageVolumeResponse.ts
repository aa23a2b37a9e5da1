// Original file: csi/csi.proto


export interface NodeUnstageVolumeResponseInit {
}

export interface NodeUnstageVolumeResponse {
}
