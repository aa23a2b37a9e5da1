// Original file: csi/csi.proto


export interface GetPluginCapabilitiesRequestInit {
}

export interface GetPluginCapabilitiesRequest {
}
