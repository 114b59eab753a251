#!/usr/bin/env bash
# Unpacks ONNX Runtime's C++ headers beside the build, without root. The build links to the shared library of the Python
# package, which has no headers. Debian has them since release 13 (trixie). Older headers work with newer libraries.
# The headers come from the Debian mirror that this machine uses.
#
#   cpp/get_onnxruntime_headers.sh [FOLDER]
set -euo pipefail
target=$(realpath -m "${1:-build/onnxruntime-headers}")
release=trixie
[ -e "$target/usr/include/onnxruntime/onnxruntime_cxx_api.h" ] && exit 0

# shellcheck source=/dev/null
[ "$(. /etc/os-release && echo "$ID")" = debian ] || {
  echo "this is no Debian; give -DONNXRUNTIME_ROOT a release archive of ONNX Runtime, which has headers" >&2
  exit 2
}
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Component: main' \
  | awk '$2 !~ /-/ { print $1; exit }')
[ -n "$mirror" ] || {
  echo "apt knows no mirror of Debian; add one to /etc/apt/sources.list" >&2
  exit 2
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/unpacked"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" > "$work/sources.list"
options=(-qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Debug::NoLocking=1
  -o "APT::Sandbox::User=$(id -un)")
apt-get "${options[@]}" update
(cd "$work" && apt-get "${options[@]}" download libonnxruntime-dev)
dpkg -x "$work"/libonnxruntime-dev_*.deb "$work/unpacked"
mkdir -p "$(dirname "$target")"
rm -rf "$target"
mv "$work/unpacked" "$target"
echo "ONNX Runtime's headers are in $target/usr/include/onnxruntime"
