// Original file: csi/csi.proto


export interface NodeGetInfoRequestInit {
}

export interface NodeGetInfoRequest {
}
