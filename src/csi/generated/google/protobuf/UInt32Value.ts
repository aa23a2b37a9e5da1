// Original file: null


export interface UInt32ValueInit {
  'value'?: (number);
}

export interface UInt32Value {
  'value': (number);
}
