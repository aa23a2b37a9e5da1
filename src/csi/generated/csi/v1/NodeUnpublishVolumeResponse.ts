// Original file: csi/csi.proto


export interface NodeUnpublishVolumeResponseInit {
}

export interface NodeUnpublishVolumeResponse {
}
