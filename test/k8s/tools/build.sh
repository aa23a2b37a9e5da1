#!/usr/bin/env bash
# Builds the cluster test's programs as go.mod pins them into CACHE/bin, and unpacks those of
# Debian's packages into CACHE/debian. With all of them there it needs neither network nor compiler.
set -euo pipefail
cd "$(dirname "$0")"
cache="${FAMFS_K8S_CACHE:-/var/cache/famfs-csi-k8s}"
mkdir -p "$cache/bin"

# Unpacked, not installed: their start scripts, and whatever is installed already, are left alone.
packages=(etcd-server containerd runc containernetworking-plugins)
if [ ! -e "$cache/debian" ]; then
  rm -rf "$cache/debian.new" "$cache/packages"
  mkdir -p "$cache/debian.new" "$cache/packages"
  download() { (cd "$cache/packages" && apt-get download -qq "${packages[@]}") >&2; }
  download || { apt-get update -qq >&2 && download; }
  for package in "$cache"/packages/*.deb; do dpkg-deb -x "$package" "$cache/debian.new"; done
  mv "$cache/debian.new" "$cache/debian"
fi

# What these modules say of their own version, which clients and the chart's kubeVersion look at.
kubernetes="$(sed -n 's/^\tk8s.io\/kubernetes \(v[0-9.]*\).*/\1/p' go.mod)"
IFS=. read -r major minor _ <<<"${kubernetes#v}"
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=$major"
  flags+=" -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done

stamp="$(cat go.mod go.sum build.sh ./*/main.go | sha256sum | cut -c1-32)"
programs=(
  k8s.io/kubernetes/cmd/kubelet
  k8s.io/kubernetes/cmd/kube-apiserver
  k8s.io/kubernetes/cmd/kube-controller-manager
  k8s.io/kubernetes/cmd/kube-scheduler
  k8s.io/kubernetes/cmd/kubectl
  github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner
  github.com/kubernetes-csi/external-attacher/v4/cmd/csi-attacher
  ./registrar
  ./livenessprobe
)
for program in "${programs[@]}"; do
  binary="$cache/bin/${program##*/}"
  [ "$(cat "$binary.stamp" 2>/dev/null)" != "$stamp" ] || [ ! -x "$binary" ] || continue
  echo "building ${program##*/}" >&2
  # Static, for an image with nothing else in it. Nice: this takes all that a machine has.
  CGO_ENABLED=0 nice -n 15 go build -mod=readonly -p=2 -trimpath -ldflags "$flags" \
    -o "$binary.new" "$program" >&2
  mv "$binary.new" "$binary"
  echo "$stamp" >"$binary.stamp"
done
