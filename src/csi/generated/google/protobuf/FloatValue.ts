// Original file: null


export interface FloatValueInit {
  'value'?: (number | string);
}

export interface FloatValue {
  'value': (number);
}
