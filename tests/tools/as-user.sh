#!/bin/sh
# Runs a program as an ordinary user, who exists in this run only: root makes them in a mount
# namespace of its own, so nothing of the machine changes.
#
#     as-user.sh DIR IDS PROGRAM [ARGUMENT…]
#
# DIR is an empty folder; IDS is how many subordinate ids the user has in /etc/subuid and /etc/subgid.
# The user has the number 4242.
set -eu

if [ "${AS_USER_INSIDE-}" != 1 ]; then
    AS_USER_INSIDE=1 exec unshare --mount "$0" "$@"
fi
unset AS_USER_INSIDE

program_dir=$PWD
dir=$1 ids=$2
shift 2
cd "$dir"
for file in passwd group subuid subgid; do
    [ -e /etc/$file ] || {
        echo "/etc/$file is missing: apt-get install uidmap" >&2
        exit 1
    }
    cp /etc/$file $file
done
echo 'builder:x:4242:4242::/nonexistent:/bin/sh' >>passwd
echo 'builder:x:4242:' >>group
: >subuid
: >subgid
if [ "$ids" -gt 0 ]; then
    echo "builder:200000:$ids" | tee subgid >subuid
fi
for file in passwd group subuid subgid; do
    mount --bind $file /etc/$file
done
cd "$program_dir"
exec setpriv --reuid 4242 --regid 4242 --clear-groups "$@"
