/** Specs of csi-sanity that skip themselves, and the capability whose absence is the reason. */
export interface SanitySkips {
  /** What the spec says as it skips. */
  readonly reason: string;
  /** As the plugin, the controller or the node plugin would advertise it; none: see the test. */
  readonly capability: string | undefined;
  readonly container: string;
  readonly specs: readonly string[];
}

export const SANITY_SKIPS: readonly SanitySkips[] = [
  {
    reason: 'ControllerModifyVolume not supported',
    capability: 'MODIFY_VOLUME',
    container: 'ModifyVolume [Controller Server]',
    specs: [
      'should fail if no volume id is given',
      'should fail if specified mutable parameters are not supported by the volume',
      'should fail if volume does not exist',
      'should fail to modify a volume created with a volume attribute class if new mutable ' +
        'parameters are not supported by volume',
      'should modify a volume created with a volume attribute class',
      'should modify a volume created without a volume attribute class',
    ],
  },
  {
    reason: 'Modify volume not supported',
    capability: 'MODIFY_VOLUME',
    container: 'Controller Service [Controller Server] › CreateVolume',
    specs: ['should create volume with a volume attribute class'],
  },
  {
    reason: 'Modify Volume not supported',
    capability: 'MODIFY_VOLUME',
    container: 'Controller Service [Controller Server] › CreateVolume',
    specs: ['should not create volume with an invalid volume attribute class'],
  },
  {
    reason: 'CreateSnapshot not supported',
    capability: 'CREATE_DELETE_SNAPSHOT',
    container: 'CreateSnapshot [Controller Server]',
    specs: [
      'should fail when no name is provided',
      'should fail when no source volume id is provided',
      'should fail when requesting to create a snapshot with already existing name and different ' +
        'source volume ID',
      'should succeed when creating snapshot with maximum-length name',
      'should succeed when requesting to create a snapshot with already existing name and same ' +
        'source volume ID',
    ],
  },
  {
    reason: 'Snapshot not supported',
    capability: 'CREATE_DELETE_SNAPSHOT',
    container: 'Controller Service [Controller Server] › CreateVolume',
    specs: [
      'should create volume from an existing source snapshot',
      'should fail when the volume source snapshot is not found',
    ],
  },
  {
    reason: 'DeleteSnapshot not supported',
    capability: 'CREATE_DELETE_SNAPSHOT',
    container: 'DeleteSnapshot [Controller Server]',
    specs: [
      'should fail when no snapshot id is provided',
      'should return appropriate values (no optional values added)',
      'should succeed when an invalid snapshot id is used',
    ],
  },
  {
    reason: 'ListSnapshots not supported',
    capability: 'LIST_SNAPSHOTS',
    container: 'ListSnapshots [Controller Server]',
    specs: [
      'check the presence of new snapshots in the snapshot list',
      'should return appropriate values (no optional values added)',
      'should return empty when the specified snapshot id does not exist',
      'should return empty when the specified source volume id does not exist',
      'should return next token when a limited number of entries are requested',
      'should return snapshots that match the specified snapshot id',
      'should return snapshots that match the specified source volume id',
    ],
  },
  {
    reason: 'GetSnapshot not supported',
    capability: 'GET_SNAPSHOT',
    container: 'GetSnapshot [Controller Server]',
    specs: [
      'should return an error',
      'should return an error when the specified snapshot id does not exist',
      'should return snapshot that match the specified snapshot id',
    ],
  },
  {
    reason: 'Volume Cloning not supported',
    capability: 'CLONE_VOLUME',
    container: 'Controller Service [Controller Server] › CreateVolume',
    specs: [
      'should create volume from an existing source volume',
      'should fail when the volume source volume is not found',
    ],
  },
  {
    reason: 'ControllerExpandVolume not supported',
    capability: 'EXPAND_VOLUME',
    container: 'ExpandVolume [Controller Server]',
    specs: [
      'should fail if no capacity range is given',
      'should fail if no volume id is given',
      'should work',
    ],
  },
  {
    reason: 'NodeExpandVolume not supported',
    capability: 'EXPAND_VOLUME',
    container: 'Node Service › NodeExpandVolume',
    specs: [
      'should fail when no volume id is provided',
      'should fail when no volume path is provided',
      'should fail when volume is not found',
      'should work if node-expand is called after node-publish',
    ],
  },
  {
    reason: 'GroupControllerService not supported',
    capability: 'GROUP_CONTROLLER_SERVICE',
    container: 'GroupController Service [GroupController Server] › GroupControllerGetCapabilities',
    specs: ['should return appropriate capabilities'],
  },
  ...[
    { call: 'CreateVolumeGroupSnapshot', specs: ['should fail when no name is provided'] },
    {
      call: 'GetVolumeGroupSnapshot',
      specs: [
        'should fail when an invalid volume id is used',
        'should fail when no volume id is provided',
      ],
    },
    {
      call: 'DeleteVolumeGroupSnapshot',
      specs: [
        'should fail when no volume id is provided',
        'should succeed when an invalid volume id is used',
      ],
    },
  ].map(({ call, specs }) => ({
    reason: 'GroupControllerService not supported',
    capability: 'GROUP_CONTROLLER_SERVICE',
    container: `GroupController Service [GroupController VolumeGroupSnapshots] › ${call}`,
    specs,
  })),
  {
    reason: 'No MaxVolumesPerNode',
    capability: undefined, // NodeGetInfo names no limit: a node takes as many as its pools have
    container: 'Controller Service [Controller Server] › ControllerPublishVolume',
    specs: ['should fail when publishing more volumes than the node max attach limit'],
  },
];

/** Marked pending in csi-sanity itself (`XIt`): nobody's driver is asked. */
export const SANITY_PENDING =
  'Controller Service [Controller Server] › ListVolumes › pagination should detect volumes added ' +
  'between pages and accept tokens when the last volume from a page is deleted';
