#!/usr/bin/env bash
# Builds one container image of the cluster test, without a registry, and under the name that the
# chart and the examples have for it:
#   images/build.sh NAME:TAG OUT.tar
# What it is follows from the last part of the name; what is none of ours or of the sidecars is a
# workload's: Python with numpy, and busybox.
set -euo pipefail
name="${1:?usage: build.sh NAME:TAG OUT.tar}"
output="$(realpath -m "${2:?usage: build.sh NAME:TAG OUT.tar}")"
cd "$(dirname "$0")"
deploy="$(realpath ../../../deploy)"
cache="${FAMFS_K8S_CACHE:-/var/cache/famfs-csi-k8s}"
numpy=2.4.6

root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"

# The program of a sidecar, which is static, alone in its image.
sidecar() {
  install -D -m 0755 "$cache/bin/$1" "$root/$1"
  node "$deploy/image-archive.mjs" "$name" "$root" "$output" \
    "{\"Entrypoint\": [\"/$1\"], \"User\": \"65532:65532\"}"
}

# The libraries and the loader that programs name, at their paths.
libraries() {
  { ldd "$@" 2>/dev/null || true; } | awk '$2 == "=>" { print $3 } /^\t\/.* \(0x/ { print $1 }' |
    sort -u | while read -r library; do
    [ -e "$root$library" ] || install -D -m 0755 "$library" "$root$library"
  done
}

workload() {
  local python stdlib
  python="$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')"
  stdlib="$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
  mkdir -p "$root"/{bin,usr/bin,usr/local/bin,opt/python,tmp,proc,sys,dev,etc,root}
  chmod 1777 "$root/tmp"
  install -D -m 0755 "$python" "$root$python"
  ln -s "$python" "$root/usr/local/bin/python3"
  ln -s python3 "$root/usr/local/bin/python"
  mkdir -p "$root$stdlib"
  tar -C "$stdlib" --exclude=./site-packages --exclude=./dist-packages --exclude='./config-*' \
    --exclude=__pycache__ --exclude=./test --exclude=./idlelib --exclude=./tkinter \
    --exclude=./ensurepip --exclude=./lib2to3 -cf - . | tar -C "$root$stdlib" -xf -
  libraries "$python" "$stdlib"/lib-dynload/*.so
  if [ ! -e "$cache/numpy-$numpy" ]; then
    rm -rf "$cache/numpy.new"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
      --no-deps --no-compile --target "$cache/numpy.new" "numpy==$numpy" >&2
    rm -rf "$cache/numpy.new"/numpy/{tests,*/tests,f2py,distutils}
    mv "$cache/numpy.new" "$cache/numpy-$numpy"
  fi
  cp -r "$cache/numpy-$numpy/." "$root/opt/python/"
  libraries "$root"/opt/python/numpy/*/*.so
  cp "$(command -v busybox)" "$root/bin/busybox"
  for applet in $("$root/bin/busybox" --list); do
    [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
  done
  ln -s /bin/env "$root/usr/bin/env"
  printf 'root:x:0:0::/root:/bin/sh\n' >"$root/etc/passwd"
  chmod -R go+rX "$root"
  node "$deploy/image-archive.mjs" "$name" "$root" "$output" '{
    "Cmd": ["python3"],
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=/opt/python",
            "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"]
  }'
}

last="${name##*/}"
case "${last%%:*}" in
famfs-csi) "$deploy/build-image.sh" "$output" "$name" ;;
csi-node-driver-registrar) sidecar registrar ;;
csi-provisioner | csi-attacher | livenessprobe) sidecar "${last%%:*}" ;;
pause)
  "${CC:-cc}" -static -Os -s -Wall -Wextra -Werror -o "$root/pause" pause.c
  node "$deploy/image-archive.mjs" "$name" "$root" "$output" \
    '{"Entrypoint": ["/pause"], "User": "65535:65535"}'
  ;;
*) workload ;;
esac
