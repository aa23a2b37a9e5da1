// Original file: csi/csi.proto


export interface ControllerUnpublishVolumeResponseInit {
}

export interface ControllerUnpublishVolumeResponse {
}
