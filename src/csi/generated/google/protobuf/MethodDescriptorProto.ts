// Original file: null

import type { MethodOptionsInit as _google_protobuf_MethodOptionsInit, MethodOptions as _google_protobuf_MethodOptions } from '../../google/protobuf/MethodOptions.ts';

export interface MethodDescriptorProtoInit {
  'name'?: (string);
  'inputType'?: (string);
  'outputType'?: (string);
  'options'?: (_google_protobuf_MethodOptionsInit | null);
  'clientStreaming'?: (boolean);
  'serverStreaming'?: (boolean);
}

export interface MethodDescriptorProto {
  'name': (string);
  'inputType': (string);
  'outputType': (string);
  'options': (_google_protobuf_MethodOptions | null);
  'clientStreaming': (boolean);
  'serverStreaming': (boolean);
}
