#!/usr/bin/env bash
# root.sh STATE: an ARM machine to try the worker on: Debian for arm64 in STATE/root, the worker's packages for it beside it.
#
# On x86-64 it is emulated (qemu-user). It is made once, in half a minute. Needs root; installs from Debian what is missing.
# STATE/packages and STATE/test-packages are of requirements/worker-arm64.txt and worker-test.txt, made again when those change.
set -euo pipefail
cd "$(dirname "$0")/../.."

state=$1
fail() { echo "error: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "only root can make another Debian's root. Run make arm as root."
tools/arm/emulation.sh

mkdir -p "$state"
if [ ! -d "$state/root" ]; then
  echo "Making a Debian for arm64"
  # Written aside and then moved: an interrupted run leaves no half of a root behind.
  rm -rf --one-file-system "${state:?}/root.new"
  # Unpacked and not configured: that would be minutes of emulated scripts, and Python needs nothing that they do.
  mmdebstrap --quiet --architectures=arm64 --variant=extract --include=base-files,libc-bin,coreutils,dash,bash,python3,libstdc++6 \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --aptopt='Acquire::Languages "none"' \
    bookworm "$state/root.new" > "$state/root.log" 2>&1 \
    || { tail -20 "$state/root.log" >&2; fail "no root could be made; all is in $state/root.log"; }
  mv "$state/root.new" "$state/root"
fi

# Its own would come from a package's script. obstore does not begin without any, even where it speaks plain HTTP.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
  install -D --mode=644 /etc/ssl/certs/ca-certificates.crt "$state/root/etc/ssl/certs/ca-certificates.crt"
fi

uv=$(command -v uv || echo .tools/bin/uv)
# packages LOCK FOLDER: as pip there would choose them, without emulating it.
packages() {
  [ ! -e "$state/$2" ] || ! cmp -s "requirements/$1.txt" "$state/$2.txt" || return 0
  echo "Installing requirements/$1.txt for arm64"
  rm -rf "${state:?}/$2"
  "$uv" pip install --quiet --require-hashes --no-deps --only-binary :all: --python .venv/bin/python --compile-bytecode \
    --python-platform aarch64-manylinux_2_28 --python-version 3.11 --target "$state/$2" -r "requirements/$1.txt"
  cp "requirements/$1.txt" "$state/$2.txt"
}
packages worker-arm64 packages
packages worker-test test-packages
