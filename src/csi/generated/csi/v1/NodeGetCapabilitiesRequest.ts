// Original file: csi/csi.proto


export interface NodeGetCapabilitiesRequestInit {
}

export interface NodeGetCapabilitiesRequest {
}
