// Original file: csi/csi.proto


export interface NodeStageVolumeResponseInit {
}

export interface NodeStageVolumeResponse {
}
