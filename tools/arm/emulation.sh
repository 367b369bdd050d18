#!/usr/bin/env bash
# emulation.sh: this machine starts ARM's programs: itself, or by qemu-user. Needs root; installs from Debian what is missing.
set -euo pipefail

fail() { echo "error: $*" >&2; exit 1; }

missing=()
for program in mmdebstrap:mmdebstrap unshare:util-linux; do
  command -v "${program%%:*}" > /dev/null || missing+=("${program##*:}")
done
if [ "$(uname -m)" != aarch64 ]; then
  for program in qemu-aarch64-static:qemu-user-static update-binfmts:binfmt-support arch-test:arch-test; do
    command -v "${program%%:*}" > /dev/null || missing+=("${program##*:}")
  done
fi
if [ "${#missing[@]}" -gt 0 ]; then
  command -v apt-get > /dev/null || fail "${missing[*]} is missing: install what Debian calls so."
  echo "Installing ${missing[*]} from Debian"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "${missing[@]}" > /dev/null
fi

if [ "$(uname -m)" != aarch64 ]; then
  # The kernel starts ARM's programs by qemu; a container or a small machine has this file system, and not mounted.
  [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc \
    || fail "this kernel cannot be told of other processors' programs (binfmt_misc)."
  [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64
fi
