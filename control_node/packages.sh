#!/usr/bin/env bash
# Installs the packages that this machine lacks.
#   packages.sh PURPOSE PACKAGE...     packages by Debian's names; PURPOSE is for the message, e.g. "the lab"
# On Debian, Ubuntu and what descends from them it installs. On others it names what is missing, and ends with 1.
set -euo pipefail

purpose=$1
shift

includes() { g++ -E -x c++ -include "$1" /dev/null; }
loads() { /sbin/ldconfig -p | grep -F "$1"; }

# present PACKAGE: whether what it brings is there, however it came here.
present() {
  if [[ $family == debian ]] && dpkg-query --show --showformat='${db:Status-Status}' "$1" | grep -qx installed; then
    return
  fi
  case $1 in
    # Docker's own packages conflict with Debian's, which would replace them.
    docker.io) command -v dockerd ;;
    docker-cli) command -v docker ;;
    openssh-client) command -v ssh ;;
    python3-venv) python3 -c 'import ensurepip, venv' ;;
    *) [[ $family != debian ]] && case $1 in
      g++) command -v g++ ;;
      binutils) command -v strip ;;
      dpkg-dev) command -v dpkg-shlibdeps ;;
      libarchive-dev) includes archive.h ;;
      libcurl4-openssl-dev) includes curl/curl.h ;;
      nlohmann-json3-dev) includes nlohmann/json.hpp ;;
      libsvn1) loads libsvn_subr-1.so.1 ;;
      libsasl2-modules) loads libsasl2.so.2 ;;
      *) return 1 ;;
    esac ;;
  esac
} >/dev/null 2>&1

# shellcheck source=/dev/null
source /etc/os-release
[[ " $ID ${ID_LIKE:-} " == *" debian "* ]] && family=debian || family=other

missing=()
for package; do
  present "$package" || missing+=("$package")
done
((${#missing[@]})) || exit 0

if [[ $family != debian ]]; then
  echo "This machine runs $PRETTY_NAME; packages are installed for you on Debian and Ubuntu only. What is missing here" \
    "for $purpose, by the names that Debian's packages have: ${missing[*]}" >&2
  exit 1
fi

as_root=()
((EUID == 0)) || as_root=(sudo)
"${as_root[@]}" apt-get -qq update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends \
  -o DPkg::Lock::Timeout=300 install "${missing[@]}"
