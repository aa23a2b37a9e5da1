#!/usr/bin/env bash
# Compiles the addon to native/build/famfs.node with the system's C compiler; nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")"

compiler="${CC:-cc}"
headers=../node_modules/node-api-headers/include
output=build/famfs.node
sources=(famfs.c memory.c cache.c fuse.c mounts.c descriptors.c)

if [ -e "$output" ] && [ -z "$(find . -maxdepth 1 -newer "$output" -type f)" ]; then exit 0; fi
command -v "$compiler" >/dev/null || {
  echo "native: no C compiler \"$compiler\"; install one (Debian: apt-get install gcc libc6-dev)" >&2
  exit 1
}
[ -e "$headers/node_api.h" ] || {
  echo "native: node-api-headers is missing; run npm ci first" >&2
  exit 1
}
mkdir -p build
# A directory, since mktemp's files are for their owner only, and other users run the addon too.
temporary="$(mktemp -d build/new.XXXXXX)"
trap 'rm -rf "$temporary"' EXIT
"$compiler" -std=c11 ${FAMFS_CFLAGS:--O2} -g -Wall -Wextra -Werror -fPIC -shared \
  -fvisibility=hidden -pthread -isystem "$headers" -o "$temporary/famfs.node" "${sources[@]}"
mv "$temporary/famfs.node" "$output"
