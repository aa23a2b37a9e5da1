// Original file: null

import type { MethodDescriptorProtoInit as _google_protobuf_MethodDescriptorProtoInit, MethodDescriptorProto as _google_protobuf_MethodDescriptorProto } from '../../google/protobuf/MethodDescriptorProto.ts';
import type { ServiceOptionsInit as _google_protobuf_ServiceOptionsInit, ServiceOptions as _google_protobuf_ServiceOptions } from '../../google/protobuf/ServiceOptions.ts';

export interface ServiceDescriptorProtoInit {
  'name'?: (string);
  'method'?: (_google_protobuf_MethodDescriptorProtoInit)[];
  'options'?: (_google_protobuf_ServiceOptionsInit | null);
}

export interface ServiceDescriptorProto {
  'name': (string);
  'method': (_google_protobuf_MethodDescriptorProto)[];
  'options': (_google_protobuf_ServiceOptions | null);
}
