#!/usr/bin/env bash
# Runs a command that has much to say: tells what is being done and how long it took, and all it said if it fails.
#   step.sh TITLE COMMAND...
set -euo pipefail

title=$1
shift

output=$(mktemp)
trap 'rm -f -- "$output"' EXIT
echo "== $title ..." >&2
SECONDS=0
if "$@" >"$output" 2>&1; then
  echo "== $title: done in $SECONDS s" >&2
else
  code=$?
  cat -- "$output" >&2
  echo "== $title: failed" >&2
  exit "$code"
fi
