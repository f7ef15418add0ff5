# What the scripts of this folder share. They run in the top folder of the repository.

# shellcheck disable=SC2034 # used by those who read this file
GLIBC=2.28
TARGET=x86_64-unknown-linux-gnu
PROGRAM=target/$TARGET/dist/watchfire
DEB_ARCH=amd64
RPM_ARCH=x86_64

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Is the command there, or the module of Python?
have() {
    case $1 in
    ensurepip) python3 -c 'import ensurepip' 2>/dev/null ;;
    *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
    esac
}

# need COMMAND:PACKAGE…: installs the packages of Debian whose commands are missing; elsewhere says what to install.
need() {
    local pair missing=()
    for pair in "$@"; do have "${pair%%:*}" || missing+=("${pair#*:}"); done
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    if ! command -v apt-get >/dev/null; then
        fail "needs what Debian has in the packages ${missing[*]}: install them"
    fi
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
    for pair in "$@"; do have "${pair%%:*}" || fail "${pair%%:*} is missing after ${pair#*:} was installed"; done
}
