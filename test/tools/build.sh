#!/usr/bin/env bash
# Builds the tools that the tests run, as their go.mod pin them, or those that are named, and prints
# their paths. With a binary in place and up to date this needs neither network nor compiler.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p bin

# build NAME FOLDER PACKAGE: the folder has the go.mod.
build() {
  local binary="$PWD/bin/$1"
  if [[ ! -x $binary || $2/go.mod -nt $binary || $2/go.sum -nt $binary ]]; then
    # A name of its own, moved when whole: two builds may run at once.
    (cd "$2" && go build -mod=readonly -trimpath -ldflags '-s -w' -o "$binary.$$" "$3" >&2)
    mv "$binary.$$" "$binary"
  fi
  echo "$binary"
}

for tool in "${@:-csi-sanity helm}"; do
  for name in $tool; do
    case $name in
      csi-sanity) build csi-sanity . github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity ;;
      helm) build helm helm helm.sh/helm/v4/cmd/helm ;;
      *) echo "build.sh: no tool \"$name\"; there are csi-sanity and helm" >&2 && exit 2 ;;
    esac
  done
done
