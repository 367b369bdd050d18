#!/usr/bin/env bash
# bare.sh SUITE [TARGET [VARIABLE=value...]]: `make TARGET` (demo) on a bare Debian, as it may be met at worst.
#
# The root is made by mmdebstrap and has nothing but make and Python. A user who is not root, with a home that cannot be
# written to, no locale and a umask of 077, works in a folder whose name has spaces and umlauts. What `make` says is
# missing is installed by the very command that it names, once. Needs root, mmdebstrap and unshare. The root stays in
# build/bare (or BARE=folder). ARCHITECTURE=arm64 makes a Debian for ARM, emulated where this machine is none. PYTHON=folder
# brings an installed Python 3.11 in, for a suite that has none and where uv cannot download one. AGAIN=yes goes on where
# it was left, with the sources of now: the environments stay.
# shellcheck disable=SC2016 # What stands in single quotes is for the shells inside.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=$1
target=(demo)
[ $# = 1 ] || target=("${@:2}")
architecture=${ARCHITECTURE:-}
root=$(realpath -m "${BARE:-build/bare}")/$suite${architecture:+-$architecture}
folder="/srv/pfad mit ümläuten/stepvec"

# in_root COMMAND...: in processes that end with it, with nothing of this machine but /proc and /dev.
in_root() {
  unshare --mount --pid --fork --kill-child sh -c '
    mount --bind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" env -i \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' "$root" "$@"
}
as_stranger() {
  in_root setpriv --reuid=stranger --regid=stranger --clear-groups \
    env HOME=/home/stranger bash -c 'umask 077 && cd "$0" && exec "$@"' "$folder" "$@"
}

if [ ! -d "$root" ]; then
  python=$([ "$suite" = bookworm ] && echo python3.11 || echo python3)
  mkdir -p "$(dirname "$root")"
  [ "$architecture" != arm64 ] || tools/arm/emulation.sh
  mmdebstrap --quiet ${architecture:+"--architectures=$architecture"} --variant=minbase --include="make,$python" "$suite" "$root.new"
  mv "$root.new" "$root"
fi
# The network's names and certificates, as whoever looks after a machine there would set them; also after packages were
# installed, one of which may be ca-certificates.
bring_network() {
  cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
  if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    mkdir -p "$root/etc/ssl/certs"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  fi
}
bring_network
if [ -n "${PYTHON:-}" ]; then
  # In the same place, since its programs may have libraries there.
  PYTHON=$(realpath "$PYTHON")
  mkdir -p "$root$PYTHON"
  cp -a "$PYTHON/." "$root$PYTHON/"
  ln -sf "$PYTHON/bin/python3.11" "$root/usr/local/bin/python3.11"
  while [ "$PYTHON" != / ]; do
    chmod go+rx "$root$PYTHON"
    PYTHON=$(dirname "$PYTHON")
  done
fi
in_root sh -c 'id stranger > /dev/null 2>&1 || useradd --create-home stranger; chown root: /home/stranger; chmod 555 /home/stranger'

[ "${AGAIN:-}" = yes ] || rm -rf "${root:?}$folder"
mkdir -p "$root$folder"
git ls-files -z | tar --create --null --files-from - | tar --extract --directory "$root$folder"
chmod -R go= "$root$folder"
in_root chown -R stranger: "$folder"
in_root chmod 755 / /srv "$(dirname "$folder")"

if ! told=$(as_stranger make machine 2>&1); then
  echo "$told"
  packages=$(sed -n 's/^As root: apt-get install //p' <<< "$told")
  [ -n "$packages" ] || exit 1
  # shellcheck disable=SC2086 # several packages
  in_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install --yes -qq --no-install-recommends "$@"' \
    apt $packages > "$root.log" 2>&1 || { tail -20 "$root.log"; exit 1; }
  bring_network
fi
as_stranger make "${target[@]}"
