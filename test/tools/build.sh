#!/usr/bin/env bash
# Builds test/tools/bin/csi-sanity as go.mod pins it, and prints its path. With the binary in place
# and up to date this needs neither network nor compiler.
set -euo pipefail
cd "$(dirname "$0")"
binary="$PWD/bin/csi-sanity"
if [[ ! -x $binary || go.mod -nt $binary || go.sum -nt $binary ]]; then
  mkdir -p bin
  go build -mod=readonly -trimpath -o "$binary.new" \
    github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity >&2
  mv "$binary.new" "$binary" # whole or not at all, also when two builds run
fi
echo "$binary"
