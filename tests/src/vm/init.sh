#!/bin/busybox sh
# The guest's first process. It does what it is told on the second serial port: a line of shell goes
# in, its output comes out, then "@@END" and the exit status.
/bin/busybox --install -s /bin
export PATH=/tools:/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /run /tmp /var/log /dev/net
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200

stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo "@@READY" >&3
while IFS= read -r line <&3; do
    (eval "$line") </dev/null >&3 2>&1
    echo "@@END $?" >&3
done
poweroff -f
