#!/bin/sh
# Install system packages that are missing: scripts/system-packages.sh rabbitmq-server [PACKAGE...]
#
# Only Debian and its kin; as root, or with sudo. Does nothing, and says nothing, when all are present.
# Services of the packages are neither started nor left enabled: Lossline starts its own.
set -eu

die() {
    echo "$0: $*" >&2
    exit 1
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

names_are_sane() {
    for name in "$@"; do
        case $name in
            "" | -* | *[!a-z0-9.+-]*) die "'$name' is not the name of a package." ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

update_lists_if_absent() {
    for package in "$@"; do
        if ! apt-cache show "$package" >/dev/null 2>&1; then
            as_root apt-get update
            return
        fi
    done
}

# Only the units of packages that were installed just now. RUNLEVEL=1 below keeps invoke-rc.d from starting them
# and policy-rc.d is not touched; where systemd has started one all the same, --now stops it.
disable_services() {
    command -v systemctl >/dev/null 2>&1 || return 0
    for package in "$@"; do
        dpkg -L "$package" | sed -n 's|^\(/usr\)\{0,1\}/lib/systemd/system/\([^/@]*\.service\)$|\2|p' | sort -u |
            while read -r unit; do
                as_root systemctl disable --now "$unit" >/dev/null 2>&1 </dev/null ||
                    echo "The service $unit could not be disabled; look at it with: systemctl status $unit" >&2
                echo "The service $unit of $package is not enabled: Lossline starts its own."
            done
    done
}

[ $# -gt 0 ] || die "name the packages, for example: $0 rabbitmq-server"
names_are_sane "$@"
if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    for package in "$@"; do
        command -v "$package" >/dev/null 2>&1 || [ -e "/usr/lib/rabbitmq/bin/$package" ] ||
            die "this system has no apt-get; install $* with its own package manager."
    done
    exit 0
fi

missing=
for package in "$@"; do
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
[ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1 || die "installing$missing needs root: run it as root."

echo "Installing with apt-get:$missing (its services are not started)"
# shellcheck disable=SC2086 # names without spaces, checked above
update_lists_if_absent $missing
# shellcheck disable=SC2086
as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install --yes --no-install-recommends $missing
# shellcheck disable=SC2086
disable_services $missing
