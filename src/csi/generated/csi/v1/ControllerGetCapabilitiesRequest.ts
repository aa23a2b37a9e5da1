// Original file: csi/csi.proto


export interface ControllerGetCapabilitiesRequestInit {
}

export interface ControllerGetCapabilitiesRequest {
}
