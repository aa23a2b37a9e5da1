#!/usr/bin/env bash
# Makes src/csi/generated (or the folder given) from csi/csi.proto: TypeScript types, no code that runs.
# What the wire gives is `%s`, what we may send is `%sInit`. The options must be those of src/csi/proto.ts.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:-src/csi/generated}"
rm -rf "$out"
node_modules/.bin/proto-loader-gen-types \
  --keepCase --longs=String --enums=String --defaults --oneofs \
  --grpcLib=@grpc/grpc-js --importFileExtension=.ts \
  --inputTemplate=%sInit --outputTemplate=%s \
  --outDir="$out" csi/csi.proto
