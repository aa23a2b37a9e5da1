#!/usr/bin/env bash
# Builds the image of Containerfile without a registry: Node and its libraries are this machine's.
#   deploy/build-image.sh OUT.tar [NAME:TAG]
# For tests, and for machines without a registry: ctr -n k8s.io images import OUT.tar
set -euo pipefail
output="$(realpath -m "${1:?usage: build-image.sh OUT.tar [NAME:TAG]}")"
cd "$(dirname "$0")"
version="$(node -p 'require("../package.json").version')"
name="${2:-famfs-csi:$version}"

root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"
mkdir -p "$root"/{etc,usr/bin,usr/local/bin,tmp,proc,sys,dev,run,var/lib}
chmod 1777 "$root/tmp"

# copy PROGRAM DEST: the program, and the libraries and loader that it names, at their paths.
copy() {
  install -m 0755 "$1" "$root$2"
  { ldd "$1" 2>/dev/null || true; } | awk '$2 == "=>" { print $3 } /^\t\/.* \(0x/ { print $1 }' |
    while read -r library; do
    install -D -m 0755 "$library" "$root$library"
  done
}
copy "$(node -p process.execPath)" /usr/local/bin/node
copy "$(command -v env)" /usr/bin/env # of the program's first line
copy ../native/build/famfs.node /usr/local/bin/famfs.node
rm "$root/usr/local/bin/famfs.node" # only its libraries; it stands in the app

./install-app.sh "$root"
ln -s /app/dist/main.js "$root/usr/local/bin/famfs-csi"
chmod 0755 "$root/app/dist/main.js"
printf 'root:x:0:0::/:\nfamfs:x:65532:65532::/:\n' >"$root/etc/passwd"
printf 'root:x:0:\nfamfs:x:65532:\n' >"$root/etc/group"

node image-archive.mjs "$name" "$root" "$output" '{
  "Entrypoint": ["famfs-csi"],
  "User": "65532:65532",
  "WorkingDir": "/",
  "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "NODE_ENV=production"],
  "Labels": {"org.opencontainers.image.title": "famfs-csi",
             "org.opencontainers.image.version": "'"$version"'",
             "org.opencontainers.image.licenses": "Apache-2.0"}
}'
echo "$name: $(du -h "$output" | cut -f1) in $output"
