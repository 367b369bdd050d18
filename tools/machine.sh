#!/bin/sh
# machine.sh [setup]: fails, with all that is to be done, where Stepvec cannot run on this machine.
#
# `stepvec local` and `make` ask it whether there is a worker for this system and processor; `make`, by `setup`, also
# whether what setting up needs is there. The first line says what is wrong, the others what to do.
set -eu

system=$(uname -s)
processor=$(uname -m)
case "$system/$processor" in
  Linux/x86_64 | Linux/amd64) has_mxnet=yes ;;
  Linux/aarch64 | Linux/arm64 | Darwin/arm64) has_mxnet= ;;
  *)
    echo "There is no worker for $system on $processor: it runs on Linux, on x86-64 or ARM." >&2
    echo "Open the repository in its dev container (.devcontainer/: one click in an editor that knows them, or" >&2
    echo "\`devcontainer up\`), or use a Linux machine." >&2
    exit 1
    ;;
esac
# The worker's packages are made for glibc. Where getconf does not know it, musl's loader gives Alpine away.
if ls /lib/ld-musl-* > /dev/null 2>&1 && ! getconf GNU_LIBC_VERSION > /dev/null 2>&1; then
  echo "The worker's packages need glibc, and this Linux has musl." >&2
  echo "Open the repository in its dev container (.devcontainer/), or use Debian, Ubuntu or Fedora." >&2
  exit 1
fi
# The worker's packages are manylinux_2_28: older than Debian 10, Ubuntu 20.04 or RHEL 8 is Amazon Linux 2, for one.
glibc=$(getconf GNU_LIBC_VERSION 2> /dev/null || true)
minor=${glibc#glibc 2.}
minor=${minor%%[!0-9]*}
if [ -n "$minor" ] && [ "$minor" -lt 28 ]; then
  echo "The worker's packages need glibc 2.28 or newer, and this Linux has ${glibc#glibc }." >&2
  echo "Open the repository in its dev container (.devcontainer/), or use a newer system: Debian 10, Ubuntu 20.04, RHEL 8," >&2
  echo "Amazon Linux 2023 or later." >&2
  exit 1
fi
[ "${1:-}" = setup ] || exit 0
[ "$system" != Darwin ] || echo "On macOS this was never tried. If something does not work, there is the dev container (.devcontainer/)." >&2

wrong=
debian=
fedora=
lacks() { # what is missing, Debian's package, Fedora's
  wrong="${wrong:+$wrong, }$1"
  debian="${debian:+$debian }$2"
  fedora="${fedora:+$fedora }$3"
}

# uv installs everything, Python 3.11 included. Without one, any Python that can make an environment gets it from PyPI.
if ! command -v uv > /dev/null 2>&1 && [ ! -x .tools/bin/uv ]; then
  has_python=
  for python in python3.11 python3; do
    "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 9))' 2> /dev/null && has_python=yes && break
  done
  if [ -z "$has_python" ]; then
    if command -v python3.11 > /dev/null 2>&1; then
      lacks "Python's venv" python3.11-venv python3.11
    elif command -v python3 > /dev/null 2>&1; then
      lacks "Python's venv (or uv)" python3-venv python3
    else
      lacks "Python 3.11 (or uv, which gets it: https://docs.astral.sh/uv/)" "python3 python3-venv" python3.11
    fi
  fi
fi

# A cache without libc was not made for this system, and whoever sets LD_LIBRARY_PATH has libraries elsewhere.
libraries=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2> /dev/null || true)
case "$libraries" in
  *libc.so.6*)
    # MXNet links them, and nothing else does.
    if [ -n "$has_mxnet" ] && [ -z "${LD_LIBRARY_PATH:-}" ]; then
      case "$libraries" in *libgomp.so.1*) ;; *) lacks libgomp libgomp1 libgomp ;; esac
      case "$libraries" in *libquadmath.so.0*) ;; *) lacks libquadmath libquadmath0 libquadmath ;; esac
    fi
    ;;
esac

[ -n "$wrong" ] || exit 0
echo "This machine lacks $wrong." >&2
if command -v apt-get > /dev/null 2>&1; then
  echo "As root: apt-get install $debian" >&2
elif command -v dnf > /dev/null 2>&1; then
  echo "As root: dnf install $fedora" >&2
else
  echo "Install what Debian calls $debian." >&2
fi
exit 1
