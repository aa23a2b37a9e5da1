// Original file: csi/csi.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetPluginCapabilitiesRequestInit as _csi_v1_GetPluginCapabilitiesRequestInit, GetPluginCapabilitiesRequest as _csi_v1_GetPluginCapabilitiesRequest } from '../../csi/v1/GetPluginCapabilitiesRequest.ts';
import type { GetPluginCapabilitiesResponseInit as _csi_v1_GetPluginCapabilitiesResponseInit, GetPluginCapabilitiesResponse as _csi_v1_GetPluginCapabilitiesResponse } from '../../csi/v1/GetPluginCapabilitiesResponse.ts';
import type { GetPluginInfoRequestInit as _csi_v1_GetPluginInfoRequestInit, GetPluginInfoRequest as _csi_v1_GetPluginInfoRequest } from '../../csi/v1/GetPluginInfoRequest.ts';
import type { GetPluginInfoResponseInit as _csi_v1_GetPluginInfoResponseInit, GetPluginInfoResponse as _csi_v1_GetPluginInfoResponse } from '../../csi/v1/GetPluginInfoResponse.ts';
import type { ProbeRequestInit as _csi_v1_ProbeRequestInit, ProbeRequest as _csi_v1_ProbeRequest } from '../../csi/v1/ProbeRequest.ts';
import type { ProbeResponseInit as _csi_v1_ProbeResponseInit, ProbeResponse as _csi_v1_ProbeResponse } from '../../csi/v1/ProbeResponse.ts';

export interface IdentityClient extends grpc.Client {
  GetPluginCapabilities(argument: _csi_v1_GetPluginCapabilitiesRequestInit, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_GetPluginCapabilitiesResponse>): grpc.ClientUnaryCall;
  GetPluginCapabilities(argument: _csi_v1_GetPluginCapabilitiesRequestInit, metadata: grpc.Metadata, callback: grpc.requestCallback<_csi_v1_GetPluginCapabilitiesResponse>): grpc.ClientUnaryCall;
  GetPluginCapabilities(argument: _csi_v1_GetPluginCapabilitiesRequestInit, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_GetPluginCapabilitiesResponse>): grpc.ClientUnaryCall;
  GetPluginCapabilities(argument: _csi_v1_GetPluginCapabilitiesRequestInit, callback: grpc.requestCallback<_csi_v1_GetPluginCapabilitiesResponse>): grpc.ClientUnaryCall;
  getPluginCapabilities(argument: _csi_v1_GetPluginCapabilitiesRequestInit, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_GetPluginCapabilitiesResponse>): grpc.ClientUnaryCall;
  getPluginCapabilities(argument: _csi_v1_GetPluginCapabilitiesRequestInit, metadata: grpc.Metadata, callback: grpc.requestCallback<_csi_v1_GetPluginCapabilitiesResponse>): grpc.ClientUnaryCall;
  getPluginCapabilities(argument: _csi_v1_GetPluginCapabilitiesRequestInit, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_GetPluginCapabilitiesResponse>): grpc.ClientUnaryCall;
  getPluginCapabilities(argument: _csi_v1_GetPluginCapabilitiesRequestInit, callback: grpc.requestCallback<_csi_v1_GetPluginCapabilitiesResponse>): grpc.ClientUnaryCall;
  
  GetPluginInfo(argument: _csi_v1_GetPluginInfoRequestInit, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_GetPluginInfoResponse>): grpc.ClientUnaryCall;
  GetPluginInfo(argument: _csi_v1_GetPluginInfoRequestInit, metadata: grpc.Metadata, callback: grpc.requestCallback<_csi_v1_GetPluginInfoResponse>): grpc.ClientUnaryCall;
  GetPluginInfo(argument: _csi_v1_GetPluginInfoRequestInit, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_GetPluginInfoResponse>): grpc.ClientUnaryCall;
  GetPluginInfo(argument: _csi_v1_GetPluginInfoRequestInit, callback: grpc.requestCallback<_csi_v1_GetPluginInfoResponse>): grpc.ClientUnaryCall;
  getPluginInfo(argument: _csi_v1_GetPluginInfoRequestInit, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_GetPluginInfoResponse>): grpc.ClientUnaryCall;
  getPluginInfo(argument: _csi_v1_GetPluginInfoRequestInit, metadata: grpc.Metadata, callback: grpc.requestCallback<_csi_v1_GetPluginInfoResponse>): grpc.ClientUnaryCall;
  getPluginInfo(argument: _csi_v1_GetPluginInfoRequestInit, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_GetPluginInfoResponse>): grpc.ClientUnaryCall;
  getPluginInfo(argument: _csi_v1_GetPluginInfoRequestInit, callback: grpc.requestCallback<_csi_v1_GetPluginInfoResponse>): grpc.ClientUnaryCall;
  
  Probe(argument: _csi_v1_ProbeRequestInit, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_ProbeResponse>): grpc.ClientUnaryCall;
  Probe(argument: _csi_v1_ProbeRequestInit, metadata: grpc.Metadata, callback: grpc.requestCallback<_csi_v1_ProbeResponse>): grpc.ClientUnaryCall;
  Probe(argument: _csi_v1_ProbeRequestInit, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_ProbeResponse>): grpc.ClientUnaryCall;
  Probe(argument: _csi_v1_ProbeRequestInit, callback: grpc.requestCallback<_csi_v1_ProbeResponse>): grpc.ClientUnaryCall;
  probe(argument: _csi_v1_ProbeRequestInit, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_ProbeResponse>): grpc.ClientUnaryCall;
  probe(argument: _csi_v1_ProbeRequestInit, metadata: grpc.Metadata, callback: grpc.requestCallback<_csi_v1_ProbeResponse>): grpc.ClientUnaryCall;
  probe(argument: _csi_v1_ProbeRequestInit, options: grpc.CallOptions, callback: grpc.requestCallback<_csi_v1_ProbeResponse>): grpc.ClientUnaryCall;
  probe(argument: _csi_v1_ProbeRequestInit, callback: grpc.requestCallback<_csi_v1_ProbeResponse>): grpc.ClientUnaryCall;
  
}

export interface IdentityHandlers extends grpc.UntypedServiceImplementation {
  GetPluginCapabilities: grpc.handleUnaryCall<_csi_v1_GetPluginCapabilitiesRequest, _csi_v1_GetPluginCapabilitiesResponseInit>;
  
  GetPluginInfo: grpc.handleUnaryCall<_csi_v1_GetPluginInfoRequest, _csi_v1_GetPluginInfoResponseInit>;
  
  Probe: grpc.handleUnaryCall<_csi_v1_ProbeRequest, _csi_v1_ProbeResponseInit>;
  
}

export interface IdentityDefinition extends grpc.ServiceDefinition {
  GetPluginCapabilities: MethodDefinition<_csi_v1_GetPluginCapabilitiesRequestInit, _csi_v1_GetPluginCapabilitiesResponseInit, _csi_v1_GetPluginCapabilitiesRequest, _csi_v1_GetPluginCapabilitiesResponse>
  GetPluginInfo: MethodDefinition<_csi_v1_GetPluginInfoRequestInit, _csi_v1_GetPluginInfoResponseInit, _csi_v1_GetPluginInfoRequest, _csi_v1_GetPluginInfoResponse>
  Probe: MethodDefinition<_csi_v1_ProbeRequestInit, _csi_v1_ProbeResponseInit, _csi_v1_ProbeRequest, _csi_v1_ProbeResponse>
}
