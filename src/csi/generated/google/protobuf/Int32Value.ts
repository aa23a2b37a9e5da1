// Original file: null


export interface Int32ValueInit {
  'value'?: (number);
}

export interface Int32Value {
  'value': (number);
}
