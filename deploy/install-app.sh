#!/usr/bin/env bash
# Puts what the image has of this project into DEST/app: the built program, its addon, and the
# packages that it needs to run. The Containerfile and build-image.sh share this one list.
set -euo pipefail
destination="${1:?usage: install-app.sh DEST}/app"
cd "$(dirname "$0")/.."

for built in dist/main.js native/build/famfs.node; do
  [ -e "$built" ] || {
    echo "install-app: $built is missing; run npm run build first" >&2
    exit 1
  }
done
mkdir -p "$destination/csi" "$destination/native/build"
cp -r dist package.json LICENSE "$destination/"
rm -f "$destination/dist/.tsbuildinfo"
cp csi/csi.proto "$destination/csi/"
install -m 0755 native/build/famfs.node "$destination/native/build/"

# Packages of the lock file that are not for development only, each at its place.
npm ls --omit=dev --all --parseable | while read -r package; do
  path="${package#"$PWD"}"
  case "$path" in
  /node_modules/*) ;;
  *) continue ;;
  esac
  mkdir -p "$destination$path"
  # What is nested below is in the list as well, so that nothing of development comes along.
  tar -C "$package" --exclude=./node_modules --exclude='*.map' --exclude='*.md' -cf - . |
    tar -C "$destination$path" --no-same-owner -xf -
done
chmod -R u=rwX,go=rX "$destination"
