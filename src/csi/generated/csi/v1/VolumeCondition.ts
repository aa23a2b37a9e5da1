// Original file: csi/csi.proto


export interface VolumeConditionInit {
  'abnormal'?: (boolean);
  'message'?: (string);
}

export interface VolumeCondition {
  'abnormal': (boolean);
  'message': (string);
}
