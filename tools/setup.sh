# What ./x needs on this machine, installed where it is missing.  For bash; ./x reads it in the repository's root.
# shellcheck shell=bash

venv=$PWD/.venv
lists=/var/lib/apt/lists
uv_version=0.13.8

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $1"
    say "hint: $2"
    exit 1
}

# Debian packages, and what for

declare -A packages why
qemu=qemu-system-x86
[ "$HOSTTYPE" != aarch64 ] || qemu=qemu-system-arm
packages[python]="python3 python3-venv ca-certificates"
packages[run]="${packages[python]} $qemu qemu-utils"
packages[test]="${packages[run]} cpio dbus-bin dbus-daemon iproute2 libnss3-tools openssl ovmf passt qemu-block-extra"
packages[test]+=" qemu-system-arm qemu-system-misc qemu-system-ppc swtpm swtpm-tools"
packages[test]+=" apparmor bzip2 lzop xz-utils zstd"
packages[test]+=" busybox-static dnsmasq-base ethtool iptables iputils-ping kmod nftables openvswitch-switch"
packages[test]+=" btrfs-progs ceph-common ceph-mon ceph-osd e2fsprogs fdisk lvm2 nfs-common nfs-kernel-server parted tgt"
packages[test]+=" libiscsi-bin open-iscsi rpcbind thin-provisioning-tools udev xfsprogs zfs-fuse"
packages[test]+=" libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu netcat-openbsd python3-libvirt virtinst"
[ "$HOSTTYPE" != x86_64 ] || packages[test]+=" user-mode-linux"
packages[bench]="${packages[run]} gcc iproute2 libc6-dev dnsmasq-base nftables libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu libvirt-dev"
why=([python]="to have Python" [run]="to run guests" [test]="to run guests and test them" [bench]="to compare with libvirt")

missing_packages() {
    local installed package
    # shellcheck disable=SC2086  # a list of words
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $1 2> /dev/null || true)
    for package in $1; do
        [[ $'\n'$installed$'\n' == *$'\n'"installed $package"$'\n'* ]] || printf '%s ' "$package"
    done
}

have_lists() { compgen -G "$lists/*_Packages*" > /dev/null; }

# apt touches the folder 'partial' whenever it looks for new lists, also where it finds none.
have_lists_of_today() { have_lists && ((EPOCHSECONDS - $(stat -c %Y "$lists/partial") < 24 * 3600)); }

may_be_root() { [ "$EUID" = 0 ] || { command -v sudo > /dev/null && sudo true; }; }

may_be_root_unasked() { [ "$EUID" = 0 ] || sudo -n true 2> /dev/null; }

as_root() {
    if [ "$EUID" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_get() {
    local log
    log=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" < /dev/null 2>&1) || {
        tail -n 20 <<< "$log" >&2
        return 1
    }
}

fetch_lists() {
    say "Fetching the package lists ..."
    apt_get -o APT::Update::Error-Mode=any update
}

install() {
    # shellcheck disable=SC2086  # a list of words
    apt_get install -y --no-install-recommends $1
}

install_packages() {
    local by_hand="apt-get update && apt-get install -y --no-install-recommends ${2% }"
    say "Installing Debian packages $1: $2..."
    may_be_root || die "you are not root, and there is no sudo for you" "as root: $by_hand"
    if have_lists_of_today && install "$2"; then return; fi
    fetch_lists || say "Going on with the lists there are."
    install "$2" || die "the packages could not be installed" "check the network; by hand, as root: $by_hand"
}

# The demo guest is made of packages that are downloaded, not installed: lists must be there, and none too old.
refresh_lists() {
    if ! have_lists && may_be_root; then
        fetch_lists || say "Going on without; the demo guest may be out of reach."
    elif [ ! -e "$venv" ] && ! have_lists_of_today && may_be_root_unasked; then
        fetch_lists || say "Going on with the lists there are."
    fi
}

set_up_packages() {
    if ! command -v apt-get > /dev/null; then
        [ -e "$venv" ] || say "This is no Debian: have QEMU, qemu-img and Python 3.11 installed."
        return
    fi
    local missing
    missing=$(missing_packages "${packages[$1]}")
    if [ -n "$missing" ]; then
        install_packages "${why[$1]}" "$missing"
    elif [ "$1" != python ]; then
        refresh_lists
    fi
}

# Python packages: those to run, with those to develop, or with those to fuzz, too

uv() {
    UV_PROJECT_ENVIRONMENT=$venv VIRTUAL_ENV=$venv UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-1} \
        "$venv/bin/uv" -q --no-progress "$@"
}

# What an environment is made from; the scripts in it name its path.
fingerprint() {
    echo "$venv $(readlink -m "$venv/bin/python") uv $uv_version"
    sha256sum pyproject.toml uv.lock
}

# Not one that was moved, was left half made, or lost its Python to an upgrade.
have_venv() { grep -qsF -- " -m venv $venv" "$venv/pyvenv.cfg" && "$venv/bin/python" -c 'import pip' 2> /dev/null; }

make_venv() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null ||
        die "Python 3.11 or newer is needed; here is: $(python3 -V 2>&1 || true)" "put a newer python3 first in PATH"
    rm -rf "$venv"
    python3 -m venv "$venv"
}

install_uv() {
    [ "$("$venv/bin/uv" --version 2> /dev/null | cut -d ' ' -f 2)" = "$uv_version" ] ||
        "$venv/bin/python" -m pip install -q --disable-pip-version-check "uv==$uv_version"
}

# Where pip gets packages from, if told so; uv does not read pip's files.
other_index() {
    local index=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-}}
    [ -n "$index" ] || index=$("$venv/bin/pip" config list | sed -n "s/^[^=]*\.index-url='\(.*\)'\$/\1/p" | tail -n 1)
    echo "$index"
}

# The lock names files on pypi.org.  Another index has them elsewhere; their hashes tell that they are the same.
install_python_packages() {
    local groups index
    case $1 in
    run) groups=(--no-dev) ;;
    dev) groups=(--dev) ;;
    fuzz) groups=(--dev --group fuzz) ;;
    esac
    index=$(other_index)
    if [ -z "$index" ]; then
        uv sync --frozen --inexact "${groups[@]}"
    else
        uv export --frozen --no-emit-project "${groups[@]}" | uv pip install --default-index "$index" --require-hashes -r - &&
            uv pip install --default-index "$index" --no-deps -e .
    fi
}

is_set_up() { [ "$(cat "$venv/.set-up-$1" 2> /dev/null)" = "$(fingerprint)" ]; }

make_python_environment() {
    say "Installing Python packages in .venv ..."
    have_venv || make_venv
    { install_uv && install_python_packages "$1"; } ||
        die "the Python packages could not be installed" "check the network; the index-url of pip's settings is used"
    fingerprint > "$venv/.set-up-$1"
    [ "$1" != fuzz ] || cp "$venv/.set-up-fuzz" "$venv/.set-up-dev"
    [ "$1" = run ] || cp "$venv/.set-up-$1" "$venv/.set-up-run"
}

set_up_python() {
    if is_set_up "$1"; then return; fi
    exec 9< . && flock 9 # another ./x may be at it
    is_set_up "$1" || make_python_environment "$1"
    exec 9<&-
}
