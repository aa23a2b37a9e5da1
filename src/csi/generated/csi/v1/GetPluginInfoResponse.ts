// Original file: csi/csi.proto


export interface GetPluginInfoResponseInit {
  'name'?: (string);
  'vendor_version'?: (string);
  'manifest'?: ({[key: string]: string});
}

export interface GetPluginInfoResponse {
  'name': (string);
  'vendor_version': (string);
  'manifest': ({[key: string]: string});
}
