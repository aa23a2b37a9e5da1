import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { BlockMetadataInit as _csi_v1_BlockMetadataInit, BlockMetadata as _csi_v1_BlockMetadata } from './csi/v1/BlockMetadata.ts';
import type { CapacityRangeInit as _csi_v1_CapacityRangeInit, CapacityRange as _csi_v1_CapacityRange } from './csi/v1/CapacityRange.ts';
import type { ControllerClient as _csi_v1_ControllerClient, ControllerDefinition as _csi_v1_ControllerDefinition } from './csi/v1/Controller.ts';
import type { ControllerExpandVolumeRequestInit as _csi_v1_ControllerExpandVolumeRequestInit, ControllerExpandVolumeRequest as _csi_v1_ControllerExpandVolumeRequest } from './csi/v1/ControllerExpandVolumeRequest.ts';
import type { ControllerExpandVolumeResponseInit as _csi_v1_ControllerExpandVolumeResponseInit, ControllerExpandVolumeResponse as _csi_v1_ControllerExpandVolumeResponse } from './csi/v1/ControllerExpandVolumeResponse.ts';
import type { ControllerGetCapabilitiesRequestInit as _csi_v1_ControllerGetCapabilitiesRequestInit, ControllerGetCapabilitiesRequest as _csi_v1_ControllerGetCapabilitiesRequest } from './csi/v1/ControllerGetCapabilitiesRequest.ts';
import type { ControllerGetCapabilitiesResponseInit as _csi_v1_ControllerGetCapabilitiesResponseInit, ControllerGetCapabilitiesResponse as _csi_v1_ControllerGetCapabilitiesResponse } from './csi/v1/ControllerGetCapabilitiesResponse.ts';
import type { ControllerGetVolumeRequestInit as _csi_v1_ControllerGetVolumeRequestInit, ControllerGetVolumeRequest as _csi_v1_ControllerGetVolumeRequest } from './csi/v1/ControllerGetVolumeRequest.ts';
import type { ControllerGetVolumeResponseInit as _csi_v1_ControllerGetVolumeResponseInit, ControllerGetVolumeResponse as _csi_v1_ControllerGetVolumeResponse } from './csi/v1/ControllerGetVolumeResponse.ts';
import type { ControllerModifyVolumeRequestInit as _csi_v1_ControllerModifyVolumeRequestInit, ControllerModifyVolumeRequest as _csi_v1_ControllerModifyVolumeRequest } from './csi/v1/ControllerModifyVolumeRequest.ts';
import type { ControllerModifyVolumeResponseInit as _csi_v1_ControllerModifyVolumeResponseInit, ControllerModifyVolumeResponse as _csi_v1_ControllerModifyVolumeResponse } from './csi/v1/ControllerModifyVolumeResponse.ts';
import type { ControllerPublishVolumeRequestInit as _csi_v1_ControllerPublishVolumeRequestInit, ControllerPublishVolumeRequest as _csi_v1_ControllerPublishVolumeRequest } from './csi/v1/ControllerPublishVolumeRequest.ts';
import type { ControllerPublishVolumeResponseInit as _csi_v1_ControllerPublishVolumeResponseInit, ControllerPublishVolumeResponse as _csi_v1_ControllerPublishVolumeResponse } from './csi/v1/ControllerPublishVolumeResponse.ts';
import type { ControllerServiceCapabilityInit as _csi_v1_ControllerServiceCapabilityInit, ControllerServiceCapability as _csi_v1_ControllerServiceCapability } from './csi/v1/ControllerServiceCapability.ts';
import type { ControllerUnpublishVolumeRequestInit as _csi_v1_ControllerUnpublishVolumeRequestInit, ControllerUnpublishVolumeRequest as _csi_v1_ControllerUnpublishVolumeRequest } from './csi/v1/ControllerUnpublishVolumeRequest.ts';
import type { ControllerUnpublishVolumeResponseInit as _csi_v1_ControllerUnpublishVolumeResponseInit, ControllerUnpublishVolumeResponse as _csi_v1_ControllerUnpublishVolumeResponse } from './csi/v1/ControllerUnpublishVolumeResponse.ts';
import type { CreateSnapshotRequestInit as _csi_v1_CreateSnapshotRequestInit, CreateSnapshotRequest as _csi_v1_CreateSnapshotRequest } from './csi/v1/CreateSnapshotRequest.ts';
import type { CreateSnapshotResponseInit as _csi_v1_CreateSnapshotResponseInit, CreateSnapshotResponse as _csi_v1_CreateSnapshotResponse } from './csi/v1/CreateSnapshotResponse.ts';
import type { CreateVolumeGroupSnapshotRequestInit as _csi_v1_CreateVolumeGroupSnapshotRequestInit, CreateVolumeGroupSnapshotRequest as _csi_v1_CreateVolumeGroupSnapshotRequest } from './csi/v1/CreateVolumeGroupSnapshotRequest.ts';
import type { CreateVolumeGroupSnapshotResponseInit as _csi_v1_CreateVolumeGroupSnapshotResponseInit, CreateVolumeGroupSnapshotResponse as _csi_v1_CreateVolumeGroupSnapshotResponse } from './csi/v1/CreateVolumeGroupSnapshotResponse.ts';
import type { CreateVolumeRequestInit as _csi_v1_CreateVolumeRequestInit, CreateVolumeRequest as _csi_v1_CreateVolumeRequest } from './csi/v1/CreateVolumeRequest.ts';
import type { CreateVolumeResponseInit as _csi_v1_CreateVolumeResponseInit, CreateVolumeResponse as _csi_v1_CreateVolumeResponse } from './csi/v1/CreateVolumeResponse.ts';
import type { DeleteSnapshotRequestInit as _csi_v1_DeleteSnapshotRequestInit, DeleteSnapshotRequest as _csi_v1_DeleteSnapshotRequest } from './csi/v1/DeleteSnapshotRequest.ts';
import type { DeleteSnapshotResponseInit as _csi_v1_DeleteSnapshotResponseInit, DeleteSnapshotResponse as _csi_v1_DeleteSnapshotResponse } from './csi/v1/DeleteSnapshotResponse.ts';
import type { DeleteVolumeGroupSnapshotRequestInit as _csi_v1_DeleteVolumeGroupSnapshotRequestInit, DeleteVolumeGroupSnapshotRequest as _csi_v1_DeleteVolumeGroupSnapshotRequest } from './csi/v1/DeleteVolumeGroupSnapshotRequest.ts';
import type { DeleteVolumeGroupSnapshotResponseInit as _csi_v1_DeleteVolumeGroupSnapshotResponseInit, DeleteVolumeGroupSnapshotResponse as _csi_v1_DeleteVolumeGroupSnapshotResponse } from './csi/v1/DeleteVolumeGroupSnapshotResponse.ts';
import type { DeleteVolumeRequestInit as _csi_v1_DeleteVolumeRequestInit, DeleteVolumeRequest as _csi_v1_DeleteVolumeRequest } from './csi/v1/DeleteVolumeRequest.ts';
import type { DeleteVolumeResponseInit as _csi_v1_DeleteVolumeResponseInit, DeleteVolumeResponse as _csi_v1_DeleteVolumeResponse } from './csi/v1/DeleteVolumeResponse.ts';
import type { GetCapacityRequestInit as _csi_v1_GetCapacityRequestInit, GetCapacityRequest as _csi_v1_GetCapacityRequest } from './csi/v1/GetCapacityRequest.ts';
import type { GetCapacityResponseInit as _csi_v1_GetCapacityResponseInit, GetCapacityResponse as _csi_v1_GetCapacityResponse } from './csi/v1/GetCapacityResponse.ts';
import type { GetMetadataAllocatedRequestInit as _csi_v1_GetMetadataAllocatedRequestInit, GetMetadataAllocatedRequest as _csi_v1_GetMetadataAllocatedRequest } from './csi/v1/GetMetadataAllocatedRequest.ts';
import type { GetMetadataAllocatedResponseInit as _csi_v1_GetMetadataAllocatedResponseInit, GetMetadataAllocatedResponse as _csi_v1_GetMetadataAllocatedResponse } from './csi/v1/GetMetadataAllocatedResponse.ts';
import type { GetMetadataDeltaRequestInit as _csi_v1_GetMetadataDeltaRequestInit, GetMetadataDeltaRequest as _csi_v1_GetMetadataDeltaRequest } from './csi/v1/GetMetadataDeltaRequest.ts';
import type { GetMetadataDeltaResponseInit as _csi_v1_GetMetadataDeltaResponseInit, GetMetadataDeltaResponse as _csi_v1_GetMetadataDeltaResponse } from './csi/v1/GetMetadataDeltaResponse.ts';
import type { GetPluginCapabilitiesRequestInit as _csi_v1_GetPluginCapabilitiesRequestInit, GetPluginCapabilitiesRequest as _csi_v1_GetPluginCapabilitiesRequest } from './csi/v1/GetPluginCapabilitiesRequest.ts';
import type { GetPluginCapabilitiesResponseInit as _csi_v1_GetPluginCapabilitiesResponseInit, GetPluginCapabilitiesResponse as _csi_v1_GetPluginCapabilitiesResponse } from './csi/v1/GetPluginCapabilitiesResponse.ts';
import type { GetPluginInfoRequestInit as _csi_v1_GetPluginInfoRequestInit, GetPluginInfoRequest as _csi_v1_GetPluginInfoRequest } from './csi/v1/GetPluginInfoRequest.ts';
import type { GetPluginInfoResponseInit as _csi_v1_GetPluginInfoResponseInit, GetPluginInfoResponse as _csi_v1_GetPluginInfoResponse } from './csi/v1/GetPluginInfoResponse.ts';
import type { GetSnapshotRequestInit as _csi_v1_GetSnapshotRequestInit, GetSnapshotRequest as _csi_v1_GetSnapshotRequest } from './csi/v1/GetSnapshotRequest.ts';
import type { GetSnapshotResponseInit as _csi_v1_GetSnapshotResponseInit, GetSnapshotResponse as _csi_v1_GetSnapshotResponse } from './csi/v1/GetSnapshotResponse.ts';
import type { GetVolumeGroupSnapshotRequestInit as _csi_v1_GetVolumeGroupSnapshotRequestInit, GetVolumeGroupSnapshotRequest as _csi_v1_GetVolumeGroupSnapshotRequest } from './csi/v1/GetVolumeGroupSnapshotRequest.ts';
import type { GetVolumeGroupSnapshotResponseInit as _csi_v1_GetVolumeGroupSnapshotResponseInit, GetVolumeGroupSnapshotResponse as _csi_v1_GetVolumeGroupSnapshotResponse } from './csi/v1/GetVolumeGroupSnapshotResponse.ts';
import type { GroupControllerClient as _csi_v1_GroupControllerClient, GroupControllerDefinition as _csi_v1_GroupControllerDefinition } from './csi/v1/GroupController.ts';
import type { GroupControllerGetCapabilitiesRequestInit as _csi_v1_GroupControllerGetCapabilitiesRequestInit, GroupControllerGetCapabilitiesRequest as _csi_v1_GroupControllerGetCapabilitiesRequest } from './csi/v1/GroupControllerGetCapabilitiesRequest.ts';
import type { GroupControllerGetCapabilitiesResponseInit as _csi_v1_GroupControllerGetCapabilitiesResponseInit, GroupControllerGetCapabilitiesResponse as _csi_v1_GroupControllerGetCapabilitiesResponse } from './csi/v1/GroupControllerGetCapabilitiesResponse.ts';
import type { GroupControllerServiceCapabilityInit as _csi_v1_GroupControllerServiceCapabilityInit, GroupControllerServiceCapability as _csi_v1_GroupControllerServiceCapability } from './csi/v1/GroupControllerServiceCapability.ts';
import type { IdentityClient as _csi_v1_IdentityClient, IdentityDefinition as _csi_v1_IdentityDefinition } from './csi/v1/Identity.ts';
import type { ListSnapshotsRequestInit as _csi_v1_ListSnapshotsRequestInit, ListSnapshotsRequest as _csi_v1_ListSnapshotsRequest } from './csi/v1/ListSnapshotsRequest.ts';
import type { ListSnapshotsResponseInit as _csi_v1_ListSnapshotsResponseInit, ListSnapshotsResponse as _csi_v1_ListSnapshotsResponse } from './csi/v1/ListSnapshotsResponse.ts';
import type { ListVolumesRequestInit as _csi_v1_ListVolumesRequestInit, ListVolumesRequest as _csi_v1_ListVolumesRequest } from './csi/v1/ListVolumesRequest.ts';
import type { ListVolumesResponseInit as _csi_v1_ListVolumesResponseInit, ListVolumesResponse as _csi_v1_ListVolumesResponse } from './csi/v1/ListVolumesResponse.ts';
import type { NodeClient as _csi_v1_NodeClient, NodeDefinition as _csi_v1_NodeDefinition } from './csi/v1/Node.ts';
import type { NodeExpandVolumeRequestInit as _csi_v1_NodeExpandVolumeRequestInit, NodeExpandVolumeRequest as _csi_v1_NodeExpandVolumeRequest } from './csi/v1/NodeExpandVolumeRequest.ts';
import type { NodeExpandVolumeResponseInit as _csi_v1_NodeExpandVolumeResponseInit, NodeExpandVolumeResponse as _csi_v1_NodeExpandVolumeResponse } from './csi/v1/NodeExpandVolumeResponse.ts';
import type { NodeGetCapabilitiesRequestInit as _csi_v1_NodeGetCapabilitiesRequestInit, NodeGetCapabilitiesRequest as _csi_v1_NodeGetCapabilitiesRequest } from './csi/v1/NodeGetCapabilitiesRequest.ts';
import type { NodeGetCapabilitiesResponseInit as _csi_v1_NodeGetCapabilitiesResponseInit, NodeGetCapabilitiesResponse as _csi_v1_NodeGetCapabilitiesResponse } from './csi/v1/NodeGetCapabilitiesResponse.ts';
import type { NodeGetInfoRequestInit as _csi_v1_NodeGetInfoRequestInit, NodeGetInfoRequest as _csi_v1_NodeGetInfoRequest } from './csi/v1/NodeGetInfoRequest.ts';
import type { NodeGetInfoResponseInit as _csi_v1_NodeGetInfoResponseInit, NodeGetInfoResponse as _csi_v1_NodeGetInfoResponse } from './csi/v1/NodeGetInfoResponse.ts';
import type { NodeGetVolumeStatsRequestInit as _csi_v1_NodeGetVolumeStatsRequestInit, NodeGetVolumeStatsRequest as _csi_v1_NodeGetVolumeStatsRequest } from './csi/v1/NodeGetVolumeStatsRequest.ts';
import type { NodeGetVolumeStatsResponseInit as _csi_v1_NodeGetVolumeStatsResponseInit, NodeGetVolumeStatsResponse as _csi_v1_NodeGetVolumeStatsResponse } from './csi/v1/NodeGetVolumeStatsResponse.ts';
import type { NodePublishVolumeRequestInit as _csi_v1_NodePublishVolumeRequestInit, NodePublishVolumeRequest as _csi_v1_NodePublishVolumeRequest } from './csi/v1/NodePublishVolumeRequest.ts';
import type { NodePublishVolumeResponseInit as _csi_v1_NodePublishVolumeResponseInit, NodePublishVolumeResponse as _csi_v1_NodePublishVolumeResponse } from './csi/v1/NodePublishVolumeResponse.ts';
import type { NodeServiceCapabilityInit as _csi_v1_NodeServiceCapabilityInit, NodeServiceCapability as _csi_v1_NodeServiceCapability } from './csi/v1/NodeServiceCapability.ts';
import type { NodeStageVolumeRequestInit as _csi_v1_NodeStageVolumeRequestInit, NodeStageVolumeRequest as _csi_v1_NodeStageVolumeRequest } from './csi/v1/NodeStageVolumeRequest.ts';
import type { NodeStageVolumeResponseInit as _csi_v1_NodeStageVolumeResponseInit, NodeStageVolumeResponse as _csi_v1_NodeStageVolumeResponse } from './csi/v1/NodeStageVolumeResponse.ts';
import type { NodeUnpublishVolumeRequestInit as _csi_v1_NodeUnpublishVolumeRequestInit, NodeUnpublishVolumeRequest as _csi_v1_NodeUnpublishVolumeRequest } from './csi/v1/NodeUnpublishVolumeRequest.ts';
import type { NodeUnpublishVolumeResponseInit as _csi_v1_NodeUnpublishVolumeResponseInit, NodeUnpublishVolumeResponse as _csi_v1_NodeUnpublishVolumeResponse } from './csi/v1/NodeUnpublishVolumeResponse.ts';
import type { NodeUnstageVolumeRequestInit as _csi_v1_NodeUnstageVolumeRequestInit, NodeUnstageVolumeRequest as _csi_v1_NodeUnstageVolumeRequest } from './csi/v1/NodeUnstageVolumeRequest.ts';
import type { NodeUnstageVolumeResponseInit as _csi_v1_NodeUnstageVolumeResponseInit, NodeUnstageVolumeResponse as _csi_v1_NodeUnstageVolumeResponse } from './csi/v1/NodeUnstageVolumeResponse.ts';
import type { PluginCapabilityInit as _csi_v1_PluginCapabilityInit, PluginCapability as _csi_v1_PluginCapability } from './csi/v1/PluginCapability.ts';
import type { ProbeRequestInit as _csi_v1_ProbeRequestInit, ProbeRequest as _csi_v1_ProbeRequest } from './csi/v1/ProbeRequest.ts';
import type { ProbeResponseInit as _csi_v1_ProbeResponseInit, ProbeResponse as _csi_v1_ProbeResponse } from './csi/v1/ProbeResponse.ts';
import type { SnapshotInit as _csi_v1_SnapshotInit, Snapshot as _csi_v1_Snapshot } from './csi/v1/Snapshot.ts';
import type { SnapshotMetadataClient as _csi_v1_SnapshotMetadataClient, SnapshotMetadataDefinition as _csi_v1_SnapshotMetadataDefinition } from './csi/v1/SnapshotMetadata.ts';
import type { TopologyInit as _csi_v1_TopologyInit, Topology as _csi_v1_Topology } from './csi/v1/Topology.ts';
import type { TopologyRequirementInit as _csi_v1_TopologyRequirementInit, TopologyRequirement as _csi_v1_TopologyRequirement } from './csi/v1/TopologyRequirement.ts';
import type { ValidateVolumeCapabilitiesRequestInit as _csi_v1_ValidateVolumeCapabilitiesRequestInit, ValidateVolumeCapabilitiesRequest as _csi_v1_ValidateVolumeCapabilitiesRequest } from './csi/v1/ValidateVolumeCapabilitiesRequest.ts';
import type { ValidateVolumeCapabilitiesResponseInit as _csi_v1_ValidateVolumeCapabilitiesResponseInit, ValidateVolumeCapabilitiesResponse as _csi_v1_ValidateVolumeCapabilitiesResponse } from './csi/v1/ValidateVolumeCapabilitiesResponse.ts';
import type { VolumeInit as _csi_v1_VolumeInit, Volume as _csi_v1_Volume } from './csi/v1/Volume.ts';
import type { VolumeCapabilityInit as _csi_v1_VolumeCapabilityInit, VolumeCapability as _csi_v1_VolumeCapability } from './csi/v1/VolumeCapability.ts';
import type { VolumeConditionInit as _csi_v1_VolumeConditionInit, VolumeCondition as _csi_v1_VolumeCondition } from './csi/v1/VolumeCondition.ts';
import type { VolumeContentSourceInit as _csi_v1_VolumeContentSourceInit, VolumeContentSource as _csi_v1_VolumeContentSource } from './csi/v1/VolumeContentSource.ts';
import type { VolumeGroupSnapshotInit as _csi_v1_VolumeGroupSnapshotInit, VolumeGroupSnapshot as _csi_v1_VolumeGroupSnapshot } from './csi/v1/VolumeGroupSnapshot.ts';
import type { VolumeUsageInit as _csi_v1_VolumeUsageInit, VolumeUsage as _csi_v1_VolumeUsage } from './csi/v1/VolumeUsage.ts';
import type { BoolValueInit as _google_protobuf_BoolValueInit, BoolValue as _google_protobuf_BoolValue } from './google/protobuf/BoolValue.ts';
import type { BytesValueInit as _google_protobuf_BytesValueInit, BytesValue as _google_protobuf_BytesValue } from './google/protobuf/BytesValue.ts';
import type { DescriptorProtoInit as _google_protobuf_DescriptorProtoInit, DescriptorProto as _google_protobuf_DescriptorProto } from './google/protobuf/DescriptorProto.ts';
import type { DoubleValueInit as _google_protobuf_DoubleValueInit, DoubleValue as _google_protobuf_DoubleValue } from './google/protobuf/DoubleValue.ts';
import type { EnumDescriptorProtoInit as _google_protobuf_EnumDescriptorProtoInit, EnumDescriptorProto as _google_protobuf_EnumDescriptorProto } from './google/protobuf/EnumDescriptorProto.ts';
import type { EnumOptionsInit as _google_protobuf_EnumOptionsInit, EnumOptions as _google_protobuf_EnumOptions } from './google/protobuf/EnumOptions.ts';
import type { EnumValueDescriptorProtoInit as _google_protobuf_EnumValueDescriptorProtoInit, EnumValueDescriptorProto as _google_protobuf_EnumValueDescriptorProto } from './google/protobuf/EnumValueDescriptorProto.ts';
import type { EnumValueOptionsInit as _google_protobuf_EnumValueOptionsInit, EnumValueOptions as _google_protobuf_EnumValueOptions } from './google/protobuf/EnumValueOptions.ts';
import type { ExtensionRangeOptionsInit as _google_protobuf_ExtensionRangeOptionsInit, ExtensionRangeOptions as _google_protobuf_ExtensionRangeOptions } from './google/protobuf/ExtensionRangeOptions.ts';
import type { FeatureSetInit as _google_protobuf_FeatureSetInit, FeatureSet as _google_protobuf_FeatureSet } from './google/protobuf/FeatureSet.ts';
import type { FeatureSetDefaultsInit as _google_protobuf_FeatureSetDefaultsInit, FeatureSetDefaults as _google_protobuf_FeatureSetDefaults } from './google/protobuf/FeatureSetDefaults.ts';
import type { FieldDescriptorProtoInit as _google_protobuf_FieldDescriptorProtoInit, FieldDescriptorProto as _google_protobuf_FieldDescriptorProto } from './google/protobuf/FieldDescriptorProto.ts';
import type { FieldOptionsInit as _google_protobuf_FieldOptionsInit, FieldOptions as _google_protobuf_FieldOptions } from './google/protobuf/FieldOptions.ts';
import type { FileDescriptorProtoInit as _google_protobuf_FileDescriptorProtoInit, FileDescriptorProto as _google_protobuf_FileDescriptorProto } from './google/protobuf/FileDescriptorProto.ts';
import type { FileDescriptorSetInit as _google_protobuf_FileDescriptorSetInit, FileDescriptorSet as _google_protobuf_FileDescriptorSet } from './google/protobuf/FileDescriptorSet.ts';
import type { FileOptionsInit as _google_protobuf_FileOptionsInit, FileOptions as _google_protobuf_FileOptions } from './google/protobuf/FileOptions.ts';
import type { FloatValueInit as _google_protobuf_FloatValueInit, FloatValue as _google_protobuf_FloatValue } from './google/protobuf/FloatValue.ts';
import type { GeneratedCodeInfoInit as _google_protobuf_GeneratedCodeInfoInit, GeneratedCodeInfo as _google_protobuf_GeneratedCodeInfo } from './google/protobuf/GeneratedCodeInfo.ts';
import type { Int32ValueInit as _google_protobuf_Int32ValueInit, Int32Value as _google_protobuf_Int32Value } from './google/protobuf/Int32Value.ts';
import type { Int64ValueInit as _google_protobuf_Int64ValueInit, Int64Value as _google_protobuf_Int64Value } from './google/protobuf/Int64Value.ts';
import type { MessageOptionsInit as _google_protobuf_MessageOptionsInit, MessageOptions as _google_protobuf_MessageOptions } from './google/protobuf/MessageOptions.ts';
import type { MethodDescriptorProtoInit as _google_protobuf_MethodDescriptorProtoInit, MethodDescriptorProto as _google_protobuf_MethodDescriptorProto } from './google/protobuf/MethodDescriptorProto.ts';
import type { MethodOptionsInit as _google_protobuf_MethodOptionsInit, MethodOptions as _google_protobuf_MethodOptions } from './google/protobuf/MethodOptions.ts';
import type { OneofDescriptorProtoInit as _google_protobuf_OneofDescriptorProtoInit, OneofDescriptorProto as _google_protobuf_OneofDescriptorProto } from './google/protobuf/OneofDescriptorProto.ts';
import type { OneofOptionsInit as _google_protobuf_OneofOptionsInit, OneofOptions as _google_protobuf_OneofOptions } from './google/protobuf/OneofOptions.ts';
import type { ServiceDescriptorProtoInit as _google_protobuf_ServiceDescriptorProtoInit, ServiceDescriptorProto as _google_protobuf_ServiceDescriptorProto } from './google/protobuf/ServiceDescriptorProto.ts';
import type { ServiceOptionsInit as _google_protobuf_ServiceOptionsInit, ServiceOptions as _google_protobuf_ServiceOptions } from './google/protobuf/ServiceOptions.ts';
import type { SourceCodeInfoInit as _google_protobuf_SourceCodeInfoInit, SourceCodeInfo as _google_protobuf_SourceCodeInfo } from './google/protobuf/SourceCodeInfo.ts';
import type { StringValueInit as _google_protobuf_StringValueInit, StringValue as _google_protobuf_StringValue } from './google/protobuf/StringValue.ts';
import type { TimestampInit as _google_protobuf_TimestampInit, Timestamp as _google_protobuf_Timestamp } from './google/protobuf/Timestamp.ts';
import type { UInt32ValueInit as _google_protobuf_UInt32ValueInit, UInt32Value as _google_protobuf_UInt32Value } from './google/protobuf/UInt32Value.ts';
import type { UInt64ValueInit as _google_protobuf_UInt64ValueInit, UInt64Value as _google_protobuf_UInt64Value } from './google/protobuf/UInt64Value.ts';
import type { UninterpretedOptionInit as _google_protobuf_UninterpretedOptionInit, UninterpretedOption as _google_protobuf_UninterpretedOption } from './google/protobuf/UninterpretedOption.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  csi: {
    v1: {
      BlockMetadata: MessageTypeDefinition<_csi_v1_BlockMetadataInit, _csi_v1_BlockMetadata>
      BlockMetadataType: EnumTypeDefinition
      CapacityRange: MessageTypeDefinition<_csi_v1_CapacityRangeInit, _csi_v1_CapacityRange>
      Controller: SubtypeConstructor<typeof grpc.Client, _csi_v1_ControllerClient> & { service: _csi_v1_ControllerDefinition }
      ControllerExpandVolumeRequest: MessageTypeDefinition<_csi_v1_ControllerExpandVolumeRequestInit, _csi_v1_ControllerExpandVolumeRequest>
      ControllerExpandVolumeResponse: MessageTypeDefinition<_csi_v1_ControllerExpandVolumeResponseInit, _csi_v1_ControllerExpandVolumeResponse>
      ControllerGetCapabilitiesRequest: MessageTypeDefinition<_csi_v1_ControllerGetCapabilitiesRequestInit, _csi_v1_ControllerGetCapabilitiesRequest>
      ControllerGetCapabilitiesResponse: MessageTypeDefinition<_csi_v1_ControllerGetCapabilitiesResponseInit, _csi_v1_ControllerGetCapabilitiesResponse>
      ControllerGetVolumeRequest: MessageTypeDefinition<_csi_v1_ControllerGetVolumeRequestInit, _csi_v1_ControllerGetVolumeRequest>
      ControllerGetVolumeResponse: MessageTypeDefinition<_csi_v1_ControllerGetVolumeResponseInit, _csi_v1_ControllerGetVolumeResponse>
      ControllerModifyVolumeRequest: MessageTypeDefinition<_csi_v1_ControllerModifyVolumeRequestInit, _csi_v1_ControllerModifyVolumeRequest>
      ControllerModifyVolumeResponse: MessageTypeDefinition<_csi_v1_ControllerModifyVolumeResponseInit, _csi_v1_ControllerModifyVolumeResponse>
      ControllerPublishVolumeRequest: MessageTypeDefinition<_csi_v1_ControllerPublishVolumeRequestInit, _csi_v1_ControllerPublishVolumeRequest>
      ControllerPublishVolumeResponse: MessageTypeDefinition<_csi_v1_ControllerPublishVolumeResponseInit, _csi_v1_ControllerPublishVolumeResponse>
      ControllerServiceCapability: MessageTypeDefinition<_csi_v1_ControllerServiceCapabilityInit, _csi_v1_ControllerServiceCapability>
      ControllerUnpublishVolumeRequest: MessageTypeDefinition<_csi_v1_ControllerUnpublishVolumeRequestInit, _csi_v1_ControllerUnpublishVolumeRequest>
      ControllerUnpublishVolumeResponse: MessageTypeDefinition<_csi_v1_ControllerUnpublishVolumeResponseInit, _csi_v1_ControllerUnpublishVolumeResponse>
      CreateSnapshotRequest: MessageTypeDefinition<_csi_v1_CreateSnapshotRequestInit, _csi_v1_CreateSnapshotRequest>
      CreateSnapshotResponse: MessageTypeDefinition<_csi_v1_CreateSnapshotResponseInit, _csi_v1_CreateSnapshotResponse>
      CreateVolumeGroupSnapshotRequest: MessageTypeDefinition<_csi_v1_CreateVolumeGroupSnapshotRequestInit, _csi_v1_CreateVolumeGroupSnapshotRequest>
      CreateVolumeGroupSnapshotResponse: MessageTypeDefinition<_csi_v1_CreateVolumeGroupSnapshotResponseInit, _csi_v1_CreateVolumeGroupSnapshotResponse>
      CreateVolumeRequest: MessageTypeDefinition<_csi_v1_CreateVolumeRequestInit, _csi_v1_CreateVolumeRequest>
      CreateVolumeResponse: MessageTypeDefinition<_csi_v1_CreateVolumeResponseInit, _csi_v1_CreateVolumeResponse>
      DeleteSnapshotRequest: MessageTypeDefinition<_csi_v1_DeleteSnapshotRequestInit, _csi_v1_DeleteSnapshotRequest>
      DeleteSnapshotResponse: MessageTypeDefinition<_csi_v1_DeleteSnapshotResponseInit, _csi_v1_DeleteSnapshotResponse>
      DeleteVolumeGroupSnapshotRequest: MessageTypeDefinition<_csi_v1_DeleteVolumeGroupSnapshotRequestInit, _csi_v1_DeleteVolumeGroupSnapshotRequest>
      DeleteVolumeGroupSnapshotResponse: MessageTypeDefinition<_csi_v1_DeleteVolumeGroupSnapshotResponseInit, _csi_v1_DeleteVolumeGroupSnapshotResponse>
      DeleteVolumeRequest: MessageTypeDefinition<_csi_v1_DeleteVolumeRequestInit, _csi_v1_DeleteVolumeRequest>
      DeleteVolumeResponse: MessageTypeDefinition<_csi_v1_DeleteVolumeResponseInit, _csi_v1_DeleteVolumeResponse>
      GetCapacityRequest: MessageTypeDefinition<_csi_v1_GetCapacityRequestInit, _csi_v1_GetCapacityRequest>
      GetCapacityResponse: MessageTypeDefinition<_csi_v1_GetCapacityResponseInit, _csi_v1_GetCapacityResponse>
      GetMetadataAllocatedRequest: MessageTypeDefinition<_csi_v1_GetMetadataAllocatedRequestInit, _csi_v1_GetMetadataAllocatedRequest>
      GetMetadataAllocatedResponse: MessageTypeDefinition<_csi_v1_GetMetadataAllocatedResponseInit, _csi_v1_GetMetadataAllocatedResponse>
      GetMetadataDeltaRequest: MessageTypeDefinition<_csi_v1_GetMetadataDeltaRequestInit, _csi_v1_GetMetadataDeltaRequest>
      GetMetadataDeltaResponse: MessageTypeDefinition<_csi_v1_GetMetadataDeltaResponseInit, _csi_v1_GetMetadataDeltaResponse>
      GetPluginCapabilitiesRequest: MessageTypeDefinition<_csi_v1_GetPluginCapabilitiesRequestInit, _csi_v1_GetPluginCapabilitiesRequest>
      GetPluginCapabilitiesResponse: MessageTypeDefinition<_csi_v1_GetPluginCapabilitiesResponseInit, _csi_v1_GetPluginCapabilitiesResponse>
      GetPluginInfoRequest: MessageTypeDefinition<_csi_v1_GetPluginInfoRequestInit, _csi_v1_GetPluginInfoRequest>
      GetPluginInfoResponse: MessageTypeDefinition<_csi_v1_GetPluginInfoResponseInit, _csi_v1_GetPluginInfoResponse>
      GetSnapshotRequest: MessageTypeDefinition<_csi_v1_GetSnapshotRequestInit, _csi_v1_GetSnapshotRequest>
      GetSnapshotResponse: MessageTypeDefinition<_csi_v1_GetSnapshotResponseInit, _csi_v1_GetSnapshotResponse>
      GetVolumeGroupSnapshotRequest: MessageTypeDefinition<_csi_v1_GetVolumeGroupSnapshotRequestInit, _csi_v1_GetVolumeGroupSnapshotRequest>
      GetVolumeGroupSnapshotResponse: MessageTypeDefinition<_csi_v1_GetVolumeGroupSnapshotResponseInit, _csi_v1_GetVolumeGroupSnapshotResponse>
      GroupController: SubtypeConstructor<typeof grpc.Client, _csi_v1_GroupControllerClient> & { service: _csi_v1_GroupControllerDefinition }
      GroupControllerGetCapabilitiesRequest: MessageTypeDefinition<_csi_v1_GroupControllerGetCapabilitiesRequestInit, _csi_v1_GroupControllerGetCapabilitiesRequest>
      GroupControllerGetCapabilitiesResponse: MessageTypeDefinition<_csi_v1_GroupControllerGetCapabilitiesResponseInit, _csi_v1_GroupControllerGetCapabilitiesResponse>
      GroupControllerServiceCapability: MessageTypeDefinition<_csi_v1_GroupControllerServiceCapabilityInit, _csi_v1_GroupControllerServiceCapability>
      Identity: SubtypeConstructor<typeof grpc.Client, _csi_v1_IdentityClient> & { service: _csi_v1_IdentityDefinition }
      ListSnapshotsRequest: MessageTypeDefinition<_csi_v1_ListSnapshotsRequestInit, _csi_v1_ListSnapshotsRequest>
      ListSnapshotsResponse: MessageTypeDefinition<_csi_v1_ListSnapshotsResponseInit, _csi_v1_ListSnapshotsResponse>
      ListVolumesRequest: MessageTypeDefinition<_csi_v1_ListVolumesRequestInit, _csi_v1_ListVolumesRequest>
      ListVolumesResponse: MessageTypeDefinition<_csi_v1_ListVolumesResponseInit, _csi_v1_ListVolumesResponse>
      Node: SubtypeConstructor<typeof grpc.Client, _csi_v1_NodeClient> & { service: _csi_v1_NodeDefinition }
      NodeExpandVolumeRequest: MessageTypeDefinition<_csi_v1_NodeExpandVolumeRequestInit, _csi_v1_NodeExpandVolumeRequest>
      NodeExpandVolumeResponse: MessageTypeDefinition<_csi_v1_NodeExpandVolumeResponseInit, _csi_v1_NodeExpandVolumeResponse>
      NodeGetCapabilitiesRequest: MessageTypeDefinition<_csi_v1_NodeGetCapabilitiesRequestInit, _csi_v1_NodeGetCapabilitiesRequest>
      NodeGetCapabilitiesResponse: MessageTypeDefinition<_csi_v1_NodeGetCapabilitiesResponseInit, _csi_v1_NodeGetCapabilitiesResponse>
      NodeGetInfoRequest: MessageTypeDefinition<_csi_v1_NodeGetInfoRequestInit, _csi_v1_NodeGetInfoRequest>
      NodeGetInfoResponse: MessageTypeDefinition<_csi_v1_NodeGetInfoResponseInit, _csi_v1_NodeGetInfoResponse>
      NodeGetVolumeStatsRequest: MessageTypeDefinition<_csi_v1_NodeGetVolumeStatsRequestInit, _csi_v1_NodeGetVolumeStatsRequest>
      NodeGetVolumeStatsResponse: MessageTypeDefinition<_csi_v1_NodeGetVolumeStatsResponseInit, _csi_v1_NodeGetVolumeStatsResponse>
      NodePublishVolumeRequest: MessageTypeDefinition<_csi_v1_NodePublishVolumeRequestInit, _csi_v1_NodePublishVolumeRequest>
      NodePublishVolumeResponse: MessageTypeDefinition<_csi_v1_NodePublishVolumeResponseInit, _csi_v1_NodePublishVolumeResponse>
      NodeServiceCapability: MessageTypeDefinition<_csi_v1_NodeServiceCapabilityInit, _csi_v1_NodeServiceCapability>
      NodeStageVolumeRequest: MessageTypeDefinition<_csi_v1_NodeStageVolumeRequestInit, _csi_v1_NodeStageVolumeRequest>
      NodeStageVolumeResponse: MessageTypeDefinition<_csi_v1_NodeStageVolumeResponseInit, _csi_v1_NodeStageVolumeResponse>
      NodeUnpublishVolumeRequest: MessageTypeDefinition<_csi_v1_NodeUnpublishVolumeRequestInit, _csi_v1_NodeUnpublishVolumeRequest>
      NodeUnpublishVolumeResponse: MessageTypeDefinition<_csi_v1_NodeUnpublishVolumeResponseInit, _csi_v1_NodeUnpublishVolumeResponse>
      NodeUnstageVolumeRequest: MessageTypeDefinition<_csi_v1_NodeUnstageVolumeRequestInit, _csi_v1_NodeUnstageVolumeRequest>
      NodeUnstageVolumeResponse: MessageTypeDefinition<_csi_v1_NodeUnstageVolumeResponseInit, _csi_v1_NodeUnstageVolumeResponse>
      PluginCapability: MessageTypeDefinition<_csi_v1_PluginCapabilityInit, _csi_v1_PluginCapability>
      ProbeRequest: MessageTypeDefinition<_csi_v1_ProbeRequestInit, _csi_v1_ProbeRequest>
      ProbeResponse: MessageTypeDefinition<_csi_v1_ProbeResponseInit, _csi_v1_ProbeResponse>
      Snapshot: MessageTypeDefinition<_csi_v1_SnapshotInit, _csi_v1_Snapshot>
      SnapshotMetadata: SubtypeConstructor<typeof grpc.Client, _csi_v1_SnapshotMetadataClient> & { service: _csi_v1_SnapshotMetadataDefinition }
      Topology: MessageTypeDefinition<_csi_v1_TopologyInit, _csi_v1_Topology>
      TopologyRequirement: MessageTypeDefinition<_csi_v1_TopologyRequirementInit, _csi_v1_TopologyRequirement>
      ValidateVolumeCapabilitiesRequest: MessageTypeDefinition<_csi_v1_ValidateVolumeCapabilitiesRequestInit, _csi_v1_ValidateVolumeCapabilitiesRequest>
      ValidateVolumeCapabilitiesResponse: MessageTypeDefinition<_csi_v1_ValidateVolumeCapabilitiesResponseInit, _csi_v1_ValidateVolumeCapabilitiesResponse>
      Volume: MessageTypeDefinition<_csi_v1_VolumeInit, _csi_v1_Volume>
      VolumeCapability: MessageTypeDefinition<_csi_v1_VolumeCapabilityInit, _csi_v1_VolumeCapability>
      VolumeCondition: MessageTypeDefinition<_csi_v1_VolumeConditionInit, _csi_v1_VolumeCondition>
      VolumeContentSource: MessageTypeDefinition<_csi_v1_VolumeContentSourceInit, _csi_v1_VolumeContentSource>
      VolumeGroupSnapshot: MessageTypeDefinition<_csi_v1_VolumeGroupSnapshotInit, _csi_v1_VolumeGroupSnapshot>
      VolumeUsage: MessageTypeDefinition<_csi_v1_VolumeUsageInit, _csi_v1_VolumeUsage>
    }
  }
  google: {
    protobuf: {
      BoolValue: MessageTypeDefinition<_google_protobuf_BoolValueInit, _google_protobuf_BoolValue>
      BytesValue: MessageTypeDefinition<_google_protobuf_BytesValueInit, _google_protobuf_BytesValue>
      DescriptorProto: MessageTypeDefinition<_google_protobuf_DescriptorProtoInit, _google_protobuf_DescriptorProto>
      DoubleValue: MessageTypeDefinition<_google_protobuf_DoubleValueInit, _google_protobuf_DoubleValue>
      Edition: EnumTypeDefinition
      EnumDescriptorProto: MessageTypeDefinition<_google_protobuf_EnumDescriptorProtoInit, _google_protobuf_EnumDescriptorProto>
      EnumOptions: MessageTypeDefinition<_google_protobuf_EnumOptionsInit, _google_protobuf_EnumOptions>
      EnumValueDescriptorProto: MessageTypeDefinition<_google_protobuf_EnumValueDescriptorProtoInit, _google_protobuf_EnumValueDescriptorProto>
      EnumValueOptions: MessageTypeDefinition<_google_protobuf_EnumValueOptionsInit, _google_protobuf_EnumValueOptions>
      ExtensionRangeOptions: MessageTypeDefinition<_google_protobuf_ExtensionRangeOptionsInit, _google_protobuf_ExtensionRangeOptions>
      FeatureSet: MessageTypeDefinition<_google_protobuf_FeatureSetInit, _google_protobuf_FeatureSet>
      FeatureSetDefaults: MessageTypeDefinition<_google_protobuf_FeatureSetDefaultsInit, _google_protobuf_FeatureSetDefaults>
      FieldDescriptorProto: MessageTypeDefinition<_google_protobuf_FieldDescriptorProtoInit, _google_protobuf_FieldDescriptorProto>
      FieldOptions: MessageTypeDefinition<_google_protobuf_FieldOptionsInit, _google_protobuf_FieldOptions>
      FileDescriptorProto: MessageTypeDefinition<_google_protobuf_FileDescriptorProtoInit, _google_protobuf_FileDescriptorProto>
      FileDescriptorSet: MessageTypeDefinition<_google_protobuf_FileDescriptorSetInit, _google_protobuf_FileDescriptorSet>
      FileOptions: MessageTypeDefinition<_google_protobuf_FileOptionsInit, _google_protobuf_FileOptions>
      FloatValue: MessageTypeDefinition<_google_protobuf_FloatValueInit, _google_protobuf_FloatValue>
      GeneratedCodeInfo: MessageTypeDefinition<_google_protobuf_GeneratedCodeInfoInit, _google_protobuf_GeneratedCodeInfo>
      Int32Value: MessageTypeDefinition<_google_protobuf_Int32ValueInit, _google_protobuf_Int32Value>
      Int64Value: MessageTypeDefinition<_google_protobuf_Int64ValueInit, _google_protobuf_Int64Value>
      MessageOptions: MessageTypeDefinition<_google_protobuf_MessageOptionsInit, _google_protobuf_MessageOptions>
      MethodDescriptorProto: MessageTypeDefinition<_google_protobuf_MethodDescriptorProtoInit, _google_protobuf_MethodDescriptorProto>
      MethodOptions: MessageTypeDefinition<_google_protobuf_MethodOptionsInit, _google_protobuf_MethodOptions>
      OneofDescriptorProto: MessageTypeDefinition<_google_protobuf_OneofDescriptorProtoInit, _google_protobuf_OneofDescriptorProto>
      OneofOptions: MessageTypeDefinition<_google_protobuf_OneofOptionsInit, _google_protobuf_OneofOptions>
      ServiceDescriptorProto: MessageTypeDefinition<_google_protobuf_ServiceDescriptorProtoInit, _google_protobuf_ServiceDescriptorProto>
      ServiceOptions: MessageTypeDefinition<_google_protobuf_ServiceOptionsInit, _google_protobuf_ServiceOptions>
      SourceCodeInfo: MessageTypeDefinition<_google_protobuf_SourceCodeInfoInit, _google_protobuf_SourceCodeInfo>
      StringValue: MessageTypeDefinition<_google_protobuf_StringValueInit, _google_protobuf_StringValue>
      SymbolVisibility: EnumTypeDefinition
      Timestamp: MessageTypeDefinition<_google_protobuf_TimestampInit, _google_protobuf_Timestamp>
      UInt32Value: MessageTypeDefinition<_google_protobuf_UInt32ValueInit, _google_protobuf_UInt32Value>
      UInt64Value: MessageTypeDefinition<_google_protobuf_UInt64ValueInit, _google_protobuf_UInt64Value>
      UninterpretedOption: MessageTypeDefinition<_google_protobuf_UninterpretedOptionInit, _google_protobuf_UninterpretedOption>
    }
  }
}

