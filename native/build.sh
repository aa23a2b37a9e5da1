#!/usr/bin/env bash
# Compiles the addon to native/build/famfs.node with the system's C compiler; nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")"

compiler="${CC:-cc}"
headers=../node_modules/node-api-headers/include
output=build/famfs.node
sources=(famfs.c memory.c cache.c fuse.c mounts.c)

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
# Not mktemp's file: its mode 0600 would keep the addon from every user but the one who built it.
temporary="build/famfs.$$.tmp"
trap 'rm -f "$temporary"' EXIT
"$compiler" -std=c11 ${FAMFS_CFLAGS:--O2} -g -Wall -Wextra -Werror -fPIC -shared \
  -fvisibility=hidden -pthread -isystem "$headers" -o "$temporary" "${sources[@]}"
mv "$temporary" "$output"
