#!/usr/bin/env bash
# Builds the package without writing to this folder, which in an installed collection may be read-only. It is built in
# the user's cache from a copy, once, and kept under a name that tells what it was built from. Its path is printed last.
# MESOS_ARTIFACT=FILE builds from that copy of the official artifact, as for make.
set -euo pipefail
cd "$(dirname "$0")"

[[ -z ${MESOS_ARTIFACT:-} ]] || MESOS_ARTIFACT=$(python3 artifact/fetch.py --artifact "$MESOS_ARTIFACT")

recipe=$(find . -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort --zero-terminated | xargs --null sha256sum | sha256sum)
kept=${XDG_CACHE_HOME:-$HOME/.cache}/mesos-docker/package-${recipe:0:12}
mkdir --parents "$(dirname "$kept")"
exec {lock}>"$kept.lock"
flock "$lock"

if [[ ! -d $kept ]]; then
  scratch=$(mktemp --directory "$kept.XXXXXX")
  trap 'rm --recursive --force "$scratch"' EXIT
  cp --recursive . "$scratch/sources"
  chmod --recursive u+w "$scratch/sources"
  make --silent --no-print-directory --directory "$scratch/sources" deb >&2
  mv "$scratch/sources/dist" "$kept"
fi
ls "$kept"/*.deb
