#!/bin/sh
# Puts the schemas of bills of material into a folder, as those publish them who wrote the formats:
#
#     tests/tools/fetch-schemas.sh target/schemas
#
#     cyclonedx/             bom-1.6.SNAPSHOT.schema.json, and the two that it refers to
#     spdx/                  spdx_2_3.json
#     packages               which packages and versions these are
#
# Nothing is installed; what is there is not fetched again. 1 MB. Needs Debian and the package
# python3-pip, and cargo. $MIRROR overrides the mirror of Debian.
set -eu

# shellcheck source=tests/tools/debian-parts.sh
. "$(dirname "$0")/debian-parts.sh"
begin "${1:?usage: fetch-schemas.sh DIR}"
need pip3 python3-pip
need unzip unzip

mkdir "$work/sources" "$work/wheels" "$parts/cyclonedx" "$parts/spdx"

# Its own copy of what CycloneDX publishes, with other names for the files.
pip3 download --quiet --no-deps --dest "$work/wheels" cyclonedx-python-lib==11.12.0 >&2
unzip -q -j -d "$parts/cyclonedx" "$work"/wheels/cyclonedx_python_lib-11.12.0-*.whl \
    'cyclonedx/schema/_res/bom-1.6.*.json' 'cyclonedx/schema/_res/jsf-0.82.*.json' \
    'cyclonedx/schema/_res/spdx.*.json'
echo 'cyclonedx-python-lib 11.12.0' >"$parts/packages"

# What its types are generated from.
unpack_crate serde-spdx 0.10.0
cp "$work/sources/serde-spdx-0.10.0/schemas/spdx_2_3.json" "$parts/spdx/"

(cd "$parts" && sha256sum --quiet -c) <<'SUMS' >&2
83821ba49aa366ad1f1d16c34837d05edd010f036f652e310db1c77d57b37c58  cyclonedx/bom-1.6.SNAPSHOT.schema.json
8bae002c25e723db7ee1f26afde680ae1a2b1a8f6b4b4b0fd65dc3becb090aae  cyclonedx/jsf-0.82.SNAPSHOT.schema.json
ea6e844ee6fba1e93473d94834d0ee0996970533497935f932f73d488ffdf4a3  cyclonedx/spdx.SNAPSHOT.schema.json
b975b4a9145bf1b1e01427b3abfdd8bdfb4d6a5fd34ab51115cd5e65df9da931  spdx/spdx_2_3.json
SUMS
publish
