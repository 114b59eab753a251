#!/usr/bin/env bash
# Installs the packages that the C++ build needs, on Debian 12 and later. Only root can install them; for other users
# the script prints the command.
#
#   cpp/prepare_debian.sh [PACKAGE...]   fails if a package is missing and cannot be installed
#   cpp/prepare_debian.sh --try          prints what is missing and succeeds; the C++ tests are then skipped
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
packages=(cmake doctest-dev g++ libavif-dev libcli11-dev libjpeg-dev liblcms2-dev libpng-dev libssl-dev
  libtiff-dev libwebp-dev libzip-dev make nlohmann-json3-dev pkg-config zlib1g-dev)

give_up() {
  echo "the C++ part cannot be built: $1" >&2
  [ "$try" = no ] || exit 0
  exit 2
}
try=no
if [ "${1:-}" = --try ]; then
  try=yes
else
  packages+=("$@")
fi
command -v dpkg-query > /dev/null || give_up "this is no Debian; docs/cpp.md lists what it needs"

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${Status}' "$package" 2> /dev/null)" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || give_up "install with: sudo apt-get install --no-install-recommends ${missing[*]}"
  apt-get -qq update || true # the packages may come from another source than the one that failed
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${missing[@]}" > /dev/null \
    || give_up "apt-get could not install ${missing[*]}"
fi
cpp/get_onnxruntime_headers.sh || give_up "ONNX Runtime's headers cannot be had; docs/cpp.md says from where else"
