#!/usr/bin/env bash
# build.sh STATE [--target gpu]: builds the worker's image from its unmodified Dockerfile, as stepvec-worker:latest.
#
# The build context is staged by the very function that CDK's assets come from. BASE names another base image.
set -euo pipefail
cd "$(dirname "$0")/../.."

state=$1
shift
tag=stepvec-worker:${STEPVEC_IMAGE_TAG:-latest}
engine=$state/engine

tools/image/engine.sh "$state"

.venv/bin/python -c '
import sys, shutil
from pathlib import Path
from stacks.assets import stage_worker_context
target = Path(sys.argv[1])
shutil.rmtree(target, ignore_errors=True)
stage_worker_context(Path(), target, Path("build/model"))
' "$state/context"

options=(--platform linux/amd64)
if [ "$(cat "$state/engine-name")" = podman ]; then
  options=(--pull=never --format docker --layers)
  if [ -z "${BASE:-}" ]; then
    BASE=localhost/stepvec-base:bookworm
    if ! "$engine" image exists "$BASE"; then
      echo "Making a base image from Debian's packages (a stand-in for python:3.11-slim-bookworm)"
      [ -s "$state/base.tar" ] || tools/image/base.sh "$state/base.tar" > "$state/base.log" 2>&1 \
        || { tail -20 "$state/base.log" >&2; echo "error: no base image could be made; all is in $state/base.log" >&2; exit 1; }
      "$engine" import --quiet --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
        --change 'ENV LANG=C.UTF-8' "$state/base.tar" "$BASE" > /dev/null
    fi
  fi
fi
[ -z "${BASE:-}" ] || options+=(--build-arg "BASE=$BASE")

echo "Building $tag with $(cat "$state/engine-name")"
"$engine" build "${options[@]}" "$@" --tag "$tag" "$state/context" > "$state/build.log" 2>&1 \
  || { tail -40 "$state/build.log" >&2; echo "error: the image cannot be built; the whole log is $state/build.log" >&2; exit 1; }
