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

# A mirror of Debian that this machine uses anyway.
debian_mirror() {
    local found
    found=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' \
        2>/dev/null | grep -v security | head -n 1 || true)
    echo "${found:-http://deb.debian.org/debian}"
}

# An apt of its own for the suites $2 and following: lists, cache and sources below $1, and nothing
# installed as far as it knows. The machine's own apt configuration stays as it is.
private_apt() {
    local apt=$1 keys=/usr/share/keyrings/debian-archive-keyring.gpg source
    shift
    source=$(debian_mirror)
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    printf "deb [signed-by=$keys] $source %s main\n" "$@" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<END
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::Lists "$apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$apt/cache";
APT::Architecture "amd64";
APT::Install-Recommends "false";
APT::Sandbox::User "$(id -un)";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
END
    export APT_CONFIG=$apt/apt.conf
}

# Runs the function $2 and leaves in the file $1 why it failed, if it did, for a test to name. Its
# errors end it.
or_say_why() {
    local missing=$1 errors=$1.errors result
    shift
    rm -f "$missing"
    set +e
    (
        set -e
        "$@"
    ) 2>"$errors"
    result=$?
    set -e
    cat "$errors" >&2
    if [ "$result" -ne 0 ]; then
        # One line: what went wrong, else all that was said.
        grep -h '^error: ' "$errors" >"$missing" || mv "$errors" "$missing"
        exit 1
    fi
    rm "$errors"
}
