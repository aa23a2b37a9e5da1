// Original file: csi/csi.proto


export interface GetPluginInfoRequestInit {
}

export interface GetPluginInfoRequest {
}
