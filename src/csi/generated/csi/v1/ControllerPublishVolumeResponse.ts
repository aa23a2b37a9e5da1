// Original file: csi/csi.proto


export interface ControllerPublishVolumeResponseInit {
  'publish_context'?: ({[key: string]: string});
}

export interface ControllerPublishVolumeResponse {
  'publish_context': ({[key: string]: string});
}
