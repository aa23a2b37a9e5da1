// Original file: csi/csi.proto


export interface GroupControllerGetCapabilitiesRequestInit {
}

export interface GroupControllerGetCapabilitiesRequest {
}
