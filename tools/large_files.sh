#!/usr/bin/env bash
# large_files.sh FILE ...: fails for files over 250 KB. What is that large is made by a command, not kept here.
set -euo pipefail

limit_kb=250
status=0
for file in "$@"; do
  size_kb=$(($(stat --format %s -- "$file") / 1024))
  if [ "$size_kb" -gt "$limit_kb" ]; then
    echo "$file has $size_kb KB, more than $limit_kb. Generate it, or fetch it in the Makefile with its hash." >&2
    status=1
  fi
done
exit "$status"
