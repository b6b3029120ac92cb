# What scripts that install Debian packages share: sourced, not run.

fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    if [ $# -gt 0 ]; then
        printf '  %s\n' "$@" >&2
    fi
    exit 1
}

# Runs a line of shell as root; where that is not possible, says what is to be run.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        sh -c "$1"
    elif command -v sudo >/dev/null; then
        sudo sh -c "$1" || fail 'that did not work. Run as root, and then make again:' "$1"
    else
        fail 'this needs root, and there is no sudo. Run as root, and then make again:' "$1"
    fi
}

install_packages() {
    local missing=() name
    for name in "$@"; do
        # Virtual names aside, dpkg says "install ok installed" of what is there.
        if ! dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed$'; then
            missing+=("$name")
        fi
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return
    fi
    echo "setup: installing ${missing[*]}"
    as_root "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
--no-install-recommends ${missing[*]}"
}
