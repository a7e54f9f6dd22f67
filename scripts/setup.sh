#!/usr/bin/env bash
# Make everything ready that `make run` or `make test` needs, on Debian and Ubuntu.
#
#   scripts/setup.sh run     system libraries and Python packages of the program
#   scripts/setup.sh test    those of the checks as well
#
# System packages that are missing come from apt (as root, or through sudo); Python packages, pinned
# by constraints.txt, go into .venv. Nothing is done twice: a stamp in .venv remembers for which
# pyproject.toml, constraints.txt and setup.sh it was filled.
set -euo pipefail
cd "$(dirname "$0")/.."

# Qt's xcb plugin needs the libxcb family one by one; its error message blames only one of them.
RUN_PACKAGES="libportaudio2 libasound2-plugins libpulse0 libegl1 libgl1 libglib2.0-0 libdbus-1-3
  libfontconfig1 fontconfig fonts-dejavu-core libxkbcommon0 libxkbcommon-x11-0 libx11-xcb1
  libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-image0 libxcb-render-util0 libxcb-randr0
  libxcb-shape0 libxcb-xkb1 libxcb-xfixes0 libxcb-sync1"
TEST_PACKAGES="xvfb xauth pulseaudio pulseaudio-utils ffmpeg espeak-ng"

say() { printf '%s\n' "setup: $*" >&2; }
die() { say "$*"; exit 1; }

case "${1:-}" in
  run) packages=$RUN_PACKAGES; extra="" ;;
  test) packages="$RUN_PACKAGES $TEST_PACKAGES"; extra="[dev]" ;;
  *) die "usage: scripts/setup.sh run|test" ;;
esac

case "$OSTYPE $HOSTTYPE" in
  linux*\ x86_64) ;;
  linux*) die "mediapipe 0.10.21, which finds faces, exists for x86-64 Linux only, not for $HOSTTYPE" ;;
  *) die "this is for Debian and Ubuntu: the README has three lines for macOS and Windows" ;;
esac

# --- system packages -------------------------------------------------------------------------

missing_packages() { # those of "$@" that dpkg does not have, under their 64-bit-time name either
  local installed
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
  for package in "$@"; do
    grep -qxE "$package(t64)?" <<<"$installed" || printf '%s\n' "$package"
  done
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt_install() { # install "$@", or say in one sentence why that is impossible
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
    die "these system packages are missing, and installing them needs root or sudo: $*"
  say "installing system packages: $*"
  as_root apt-get update -qq || say "the package lists could not be refreshed; trying with the old ones"
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 "$@" >&2 ||
    die "apt could not install, at least not without removing others: $*. Install them by hand, then call this again."
}

installed() { dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -x installed >/dev/null; }

if command -v dpkg-query >/dev/null; then
  if installed pipewire-alsa || installed pipewire-audio; then # which PulseAudio would drive out
    [ "$1" = run ] || installed pulseaudio ||
      say "this system's sound is PipeWire's: without PulseAudio the tests of a live microphone are skipped"
    packages=${packages/ pulseaudio / }
  fi
  # shellcheck disable=SC2086  # a list of words
  missing=$(missing_packages $packages)
  # shellcheck disable=SC2086
  [ -z "$missing" ] || apt_install $missing
else
  say "this is no Debian or Ubuntu: install what corresponds to these yourself:" $packages
fi

# --- Python ----------------------------------------------------------------------------------

can_make_venv() { # a 3.11 or 3.12 that runs; shims of pyenv may exist without one behind them
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
    >/dev/null 2>&1
}

is_whole() { # .venv; it may have been left half made, or its Python replaced by a newer release
  can_make_venv .venv/bin/python && .venv/bin/python -c 'import pip' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.12 python3.11 \
    /usr/bin/python3 /usr/bin/python3.1[12] /usr/local/bin/python3.1[12] \
    "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[12].*/bin/python \
    "${XDG_DATA_HOME:-${HOME:-}/.local/share}"/uv/python/cpython-3.1[12].*/bin/python3; do
    if can_make_venv "$candidate"; then printf '%s\n' "$candidate"; return; fi
  done
  return 1
}

provide_python() { # from apt where the release has a 3.11 or 3.12, else through uv
  local version
  if command -v apt-cache >/dev/null; then
    for version in 3.12 3.11; do
      if apt-cache show "python$version-venv" >/dev/null 2>&1; then
        apt_install "python$version" "python$version-venv"
        return
      fi
    done
    command -v python3 >/dev/null && python3 -c 'import ensurepip' 2>/dev/null ||
      apt_install python3 python3-venv
  fi
  command -v uv >/dev/null || {
    say "this release has no Python 3.11 or 3.12; fetching one with uv"
    python3 -m venv .venv/uv && .venv/uv/bin/pip install --quiet uv
    PATH=$PWD/.venv/uv/bin:$PATH
  }
  uv python install 3.12 >&2 ||
    die "uv could not fetch Python 3.12: install a 3.11 or 3.12 in another way, or name it: make run PYTHON=…"
}

# PyTorch's own index has a build without CUDA, a tenth of the size of the one on PyPI.
CPU_WHEELS=https://download.pytorch.org/whl/cpu

cpu_torch_will_do() { # no NVIDIA driver is here, and that index answers within seconds
  [ ! -e /proc/driver/nvidia ] && ! command -v nvidia-smi >/dev/null &&
    timeout 5 .venv/bin/python -c "from urllib.request import urlopen; urlopen('$CPU_WHEELS/torch/')" \
      >/dev/null 2>&1
}

wanted=$(cat pyproject.toml constraints.txt scripts/setup.sh | sha256sum | cut -d' ' -f1)
stamp=.venv/.ready-$1
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && is_whole; then
  exit 0
fi

if ! is_whole; then
  python=$(find_python) || { provide_python; python=$(find_python); } ||
    die "no Python 3.11 or 3.12 was found: install one (pyenv, uv), or name it: make run PYTHON=…"
  say "making .venv with $("$python" --version) ($python)"
  "$python" -m venv --clear .venv
fi
[ -t 1 ] && quiet="" || quiet=--quiet # people see what takes long, logs stay short
pip_install() {
  # shellcheck disable=SC2086  # an option or nothing
  .venv/bin/python -m pip install $quiet --disable-pip-version-check \
    --constraint constraints.txt "$@"
}
if cpu_torch_will_do; then
  say "installing Python packages (some hundred megabytes the first time)"
  pip_install --no-deps --index-url "$CPU_WHEELS" torch ||
    say "PyTorch's build without CUDA could not be had; going on with the one on PyPI"
else
  say "installing Python packages (the first time up to 3 GB, most of it CUDA)"
fi
pip_install --editable ".$extra" ||
  die "pip could not install the packages; is there a network connection and room on the disk?"
printf '%s\n' "$wanted" > "$stamp"
[ -z "$extra" ] || printf '%s\n' "$wanted" > .venv/.ready-run
say "ready"
