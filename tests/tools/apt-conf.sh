#!/bin/sh
# Makes a configuration of apt in a folder of its own, which sees more than the machine's: arm64
# packages, firmware that is not free, source packages, and backports where the release is Debian 12.
# Prints the file, for the environment:
#
#     export APT_CONFIG=$(tests/tools/apt-conf.sh DIR)
#     apt-get download u-boot-rpi:arm64
#     apt-get source e2fsprogs
#
# The sources and lists of the machine stay as they are; what is installed is known. $MIRROR
# overrides the mirror.
set -eu

usage='usage: apt-conf.sh DIR'
dir=${1:?$usage}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"

# The mirror that this machine already uses, in whichever file and format it is written.
# shellcheck disable=SC2016 # apt replaces it
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    grep -m 1 '/debian/$' || true)}
[ -n "$mirror" ] || {
    echo 'no Debian mirror among the apt sources: set MIRROR' >&2
    exit 1
}

# shellcheck disable=SC1091 # a file of the machine
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
suites=$suite
if [ "$suite" = bookworm ]; then
    suites="$suite $suite-backports"
fi

cat >"$dir/debian.sources" <<SOURCES
Types: deb deb-src
URIs: $mirror
Suites: $suites
Components: main non-free-firmware
Architectures: amd64 arm64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES

cat >"$dir/apt.conf" <<CONF
APT::Architectures { "amd64"; "arm64"; };
// The user _apt, as whom root would fetch, may not write below a folder of root.
APT::Sandbox::User "root";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Languages "none";
Dir::Cache "$dir/cache/";
Dir::Etc::sourcelist "$dir/debian.sources";
Dir::Etc::sourceparts "-";
Dir::State::lists "$dir/lists/";
CONF

APT_CONFIG=$dir/apt.conf apt-get update -q >&2
echo "$dir/apt.conf"
