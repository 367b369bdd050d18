#!/usr/bin/env bash
# base.sh OUT.tar: a stand-in for the image python:3.11-slim-bookworm, from Debian's packages only.
#
# For machines that reach Debian's packages and no container registry. What the Dockerfile relies on is alike:
# bookworm, and Python 3.11 in /usr/local with pip. What differs: the Python is Debian's build of 3.11.
set -euo pipefail

out=$1
# The machine's own mirror, where it has bookworm's; else the one that mmdebstrap knows.
sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
  if [ -s "$file" ] && grep -q bookworm "$file"; then sources+=("$file"); fi
done

# /usr/local becomes a virtual environment: the official image's paths, and pip meets no "externally managed" there.
# Its pip is the wheel that Debian's python3-venv brings.
# shellcheck disable=SC2054,SC2016 # commas are mmdebstrap's; $1 is for the hooks' own shell
options=(
  --mode=root --variant=minbase --format=tar --quiet
  # usr-is-merged instead of usrmerge, which brings all of Perl; the hook makes the merged /usr that it asks for.
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr
  --include=usr-is-merged,ca-certificates,netbase,tzdata,python3,python3-venv
  --dpkgopt='path-exclude=/usr/share/man/*'
  --dpkgopt='path-exclude=/usr/share/locale/*'
  --dpkgopt='path-exclude=/usr/share/doc/*'
  --dpkgopt='path-include=/usr/share/doc/*/copyright'
  --aptopt='Acquire::Languages "none"'
  --customize-hook='chroot "$1" /usr/bin/python3 -m venv /usr/local'
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/* "$1"/root/.cache'
)
# Written aside and then moved: an interrupted run leaves no half of a base behind.
mmdebstrap "${options[@]}" bookworm "$out.part" "${sources[@]}"
mv "$out.part" "$out"
