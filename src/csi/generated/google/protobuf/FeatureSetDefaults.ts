// Original file: null

import type { EditionInit as _google_protobuf_EditionInit, Edition as _google_protobuf_Edition } from '../../google/protobuf/Edition.ts';
import type { FeatureSetInit as _google_protobuf_FeatureSetInit, FeatureSet as _google_protobuf_FeatureSet } from '../../google/protobuf/FeatureSet.ts';

export interface _google_protobuf_FeatureSetDefaults_FeatureSetEditionDefaultInit {
  'edition'?: (_google_protobuf_EditionInit);
  'overridableFeatures'?: (_google_protobuf_FeatureSetInit | null);
  'fixedFeatures'?: (_google_protobuf_FeatureSetInit | null);
}

export interface _google_protobuf_FeatureSetDefaults_FeatureSetEditionDefault {
  'edition': (_google_protobuf_Edition);
  'overridableFeatures': (_google_protobuf_FeatureSet | null);
  'fixedFeatures': (_google_protobuf_FeatureSet | null);
}

export interface FeatureSetDefaultsInit {
  'defaults'?: (_google_protobuf_FeatureSetDefaults_FeatureSetEditionDefaultInit)[];
  'minimumEdition'?: (_google_protobuf_EditionInit);
  'maximumEdition'?: (_google_protobuf_EditionInit);
}

export interface FeatureSetDefaults {
  'defaults': (_google_protobuf_FeatureSetDefaults_FeatureSetEditionDefault)[];
  'minimumEdition': (_google_protobuf_Edition);
  'maximumEdition': (_google_protobuf_Edition);
}
