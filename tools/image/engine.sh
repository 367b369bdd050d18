#!/usr/bin/env bash
# engine.sh STATE: finds what builds and runs containers here and writes it down as one program, STATE/engine.
#
# Docker where its engine answers; else podman with runc, which needs root (installed from Debian where missing).
# STATE/engine takes the arguments of docker. STATE/engine-name holds "docker" or "podman".
set -euo pipefail

state=$(realpath "$1")
fail() { echo "error: $*" >&2; exit 1; }

use_docker() {
  echo docker > "$state/engine-name"
  # A Batch job's process has a HOME of its own, and Docker finds its context in the user's.
  printf '#!/bin/sh\nHOME=%q%s exec docker "$@"\n' "$HOME" "${DOCKER_HOST:+ DOCKER_HOST=$(printf %q "$DOCKER_HOST")}" \
    > "$state/engine"
  chmod +x "$state/engine"
}

install_podman() {
  local missing=() name
  for name in podman runc mmdebstrap; do command -v "$name" > /dev/null || missing+=("$name"); done
  [ "${#missing[@]}" -gt 0 ] || return 0
  command -v apt-get > /dev/null || fail "no Docker engine answers and ${missing[*]} is missing. Install Docker or them."
  echo "No Docker engine answers: installing ${missing[*]} from Debian"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "${missing[@]}" > "$state/apt.log" 2>&1 \
    || { cat "$state/apt.log" >&2; fail "apt-get could not install ${missing[*]}."; }
}

can_overlay() {
  local try=$state/overlay-try
  mkdir -p "$try"/{lower,upper,work,merged}
  if mount -t overlay overlay -o "lowerdir=$try/lower,upperdir=$try/upper,workdir=$try/work" "$try/merged" 2> /dev/null
  then umount "$try/merged"; rm -rf "$try"; return 0
  fi
  rm -rf "$try"; return 1
}

# Everything that podman keeps lies in STATE: it shares nothing with the machine's own podman.
configure_podman() {
  local driver=overlay
  # In a container whose own root is an overlay there is no other way than copying.
  can_overlay || { driver=vfs; echo "This file system takes no overlay: podman copies whole layers (slower)"; }
  cat > "$state/storage.conf" <<CONF
[storage]
driver = "$driver"
graphroot = "$state/storage"
runroot = "/run/stepvec-image-$(printf %s "$state" | sha256sum | cut -c1-8)"
CONF
  # The limits: podman asks for more open files and processes than a restricted machine may give.
  local containers='[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
netns = "host"'
  local engine='[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"'
  printf '%s\n%s\n' "$containers" "$engine" > "$state/run.conf"
  # While building, pip sees the machine's certificates and index: it may stand behind a company's proxy or mirror.
  local certificates=/etc/ssl/certs/ca-certificates.crt index
  index=${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2> /dev/null || true)}
  { printf '[global]\n'
    [ ! -e "$certificates" ] || printf 'cert = %s\n' "$certificates"
    [ -z "$index" ] || printf 'index-url = %s\n' "$index"
  } > "$state/pip.conf"
  local volumes="\"$state/pip.conf:/etc/pip.conf:ro\""
  [ ! -e "$certificates" ] || volumes+=", \"$certificates:$certificates:ro\""
  printf '%s\nvolumes = [%s]\n%s\n' "$containers" "$volumes" "$engine" > "$state/build.conf"
}

use_podman() {
  [ "$(id -u)" = 0 ] || fail "no Docker engine answers, and podman as it is used here needs root." \
    "Start Docker, or run 'make image' as root."
  install_podman
  configure_podman
  echo podman > "$state/engine-name"
  cat > "$state/engine" <<SCRIPT
#!/bin/sh
conf=run
[ "\$1" != build ] || conf=build
CONTAINERS_STORAGE_CONF='$state/storage.conf' CONTAINERS_CONF="$state/\$conf.conf" exec podman "\$@"
SCRIPT
  chmod +x "$state/engine"
  "$state/engine" info > "$state/info.log" 2>&1 || { cat "$state/info.log" >&2; fail "podman cannot work on this machine."; }
}

mkdir -p "$state"
# `docker version` fails where only the client is installed.
if docker version --format '{{.Server.Version}}' > /dev/null 2>&1; then use_docker; else use_podman; fi
