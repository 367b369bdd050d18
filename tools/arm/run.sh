#!/usr/bin/env bash
# run.sh STATE COMMAND...: runs COMMAND in the root of root.sh, in this folder, which lies there at the same place, read-only.
#
# Environment and network are those of here. All that it starts ends with it.
set -euo pipefail
cd "$(dirname "$0")/../.."

state=$(realpath "$1")
shift
# shellcheck disable=SC2016 # What stands in single quotes is for the shell inside.
exec unshare --mount --pid --fork --kill-child sh -c '
  root=$1/root here=$2
  shift 2
  mount --bind /dev "$root/dev" && mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/tmp" \
    && mkdir -p "$root$here" && mount --bind "$here" "$root$here" && mount -o remount,bind,ro "$root$here" || exit 1
  exec chroot "$root" sh -c '\''cd "$1" && shift && exec "$@"'\'' sh "$here" "$@"' sh "$state" "$PWD" "$@"
