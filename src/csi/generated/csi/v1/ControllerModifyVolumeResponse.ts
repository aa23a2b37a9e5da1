// Original file: csi/csi.proto


export interface ControllerModifyVolumeResponseInit {
}

export interface ControllerModifyVolumeResponse {
}
