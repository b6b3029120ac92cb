#!/bin/sh
# The daemons of one FRR router, in the network namespace that this is started in, or with more
# arguments one command beside them. To be started in mount and process namespaces of its own: mounts
# and daemons end with it.
#
#   router.sh ROOT STATE NAME             start the daemons, and stay
#   router.sh ROOT STATE NAME COMMAND …   run a command of FRR's
set -e
root=$1 state=$2 name=$3
shift 3

mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$state/run" "$root/run"
mount --bind "$state/log" "$root/var/log/frr"
mount --bind "$state/etc" "$root/etc/frr"
if [ $# -gt 0 ]; then
    exec chroot "$root" "$@"
fi
mkdir -p "$root/run/frr/$name"
chown -R 990:990 "$root/run/frr" "$root/var/log/frr"

# What they print goes to a file: they would keep a pipe open for ever.
start() {
    chroot "$root" "/usr/lib/frr/$1" -N "$name" --log "file:/var/log/frr/$name-$1.log" \
        </dev/null >"$root/var/log/frr/$name-$1.out" 2>&1 &
}
start mgmtd
start zebra
# A daemon that does not find zebra at its start tries again after ten seconds only.
while [ ! -S "$root/run/frr/$name/zserv.api" ]; do
    sleep 0.05
done
for daemon in staticd isisd bgpd; do
    start "$daemon"
done
wait
