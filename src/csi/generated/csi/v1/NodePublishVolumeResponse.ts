// Original file: csi/csi.proto


export interface NodePublishVolumeResponseInit {
}

export interface NodePublishVolumeResponse {
}
