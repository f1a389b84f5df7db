#!/bin/sh
# What the Makefile asks of the machine itself, beyond what pip can install.
#   tools/setup.sh venv PYTHON FOLDER   makes a virtual environment, or names what the machine lacks for it
#   tools/setup.sh egl PYTHON           0 when OpenGL can be started; installs EGL and Mesa first where that is permitted
#   tools/setup.sh check-egl PYTHON     the same without installing
#   tools/setup.sh chromium             0 when Chromium is there; installs it first where that is permitted
# Where something is missing the last line on standard error is the one to type, and the status is 1.
set -u

EGL_PACKAGES="libegl1 libgl1 libgl1-mesa-dri"
BROWSER_PACKAGES="chromium"

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

make_venv() {
    python=$1 folder=$2
    command -v "$python" >/dev/null 2>&1 ||
        fail "$python must be a Python of 3.11 or later but there is none; on Debian type, as root:" "apt-get install python3 python3-venv"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "knuckle takes Python 3.11 or later but $python is $("$python" -V 2>&1); name a later one:" "make PYTHON=python3.11"
    # Debian and Ubuntu split these off; python -m venv would leave half an environment behind.
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python must have its modules venv and ensurepip but lacks them; on Debian type, as root:" "apt-get install python3-venv"
    "$python" -m venv "$folder"
}

# Opening a context is the only sure test: libraries may be there without a driver, or from a graphics card's vendor.
# Prints the error where it fails.
open_context() {
    "$1" -c 'from knuckle.synth.render import create_context; create_context().release()' 2>&1
}

# Prints how to become root without a question ("" for root); fails where there is no such way.
root_prefix() {
    if [ "$(id -u)" -eq 0 ]; then
        return 0
    fi
    command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null && echo "sudo -n"
}

# install PACKAGES WHO: apt packages, and who needs them.
install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    prefix=$(root_prefix) || return 1
    echo "installing $1, which $2 need" >&2
    # shellcheck disable=SC2086 # words: of the prefix and of the list
    { $prefix apt-get update -qq &&
        $prefix env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $1; } >&2
}

install_egl() {
    install "$EGL_PACKAGES" "the tests that draw pictures"
}

check_egl() {
    error=$(open_context "$1") || fail "$(printf '%s\n' "$error" | tail -n 1)" \
        "EGL and an OpenGL driver must be there for the tests that draw pictures; on Debian type, as root:" \
        "apt-get install $EGL_PACKAGES"
}

# Under any of the names that tests/live/headless.py looks for. Ubuntu's package may be a mere hint at another one.
has_chromium() {
    for name in chromium chromium-browser google-chrome; do
        "$name" --version >/dev/null 2>&1 && return 0
    done
    return 1
}

check_chromium() {
    has_chromium || fail "Chromium must be there for the tests of the live page; on Debian type, as root:" \
        "apt-get install $BROWSER_PACKAGES"
}

case "${1:-} $#" in
"venv 3") make_venv "$2" "$3" ;;
"egl 2") open_context "$2" >/dev/null || { install_egl; check_egl "$2"; } ;;
"check-egl 2") check_egl "$2" ;;
"chromium 1") has_chromium || { install "$BROWSER_PACKAGES" "the tests of the live page"; check_chromium; } ;;
*) sed -n '3,7s/^# *//p' "$0" >&2; exit 2 ;;
esac
