// Original file: csi/csi.proto


export interface ProbeRequestInit {
}

export interface ProbeRequest {
}
