#!/bin/busybox sh
# The router in the guest: "daemon start NAME" starts it with /etc/sidewinder/NAME.toml and waits until
# it answers, "daemon stop" ends it and prints its exit status. What it logs goes to the console.
socket=/run/sidewinder.sock

case $1 in
start)
    rm -f /run/status
    (
        sidewinder run -c "/etc/sidewinder/$2.toml" &
        echo $! >/run/pid
        wait $!
        echo $? >/run/status
    ) >/dev/ttyS0 2>&1 </dev/null &
    for _ in $(seq 100); do
        sidewinder show interfaces --socket $socket >/dev/null 2>&1 && exit 0
        [ ! -e /run/status ] || exit 1
        usleep 100000
    done
    echo 'no answer from the daemon'
    exit 1
    ;;
stop)
    kill -TERM "$(cat /run/pid)"
    for _ in $(seq 100); do
        [ ! -e /run/status ] || exec cat /run/status
        usleep 50000
    done
    echo 'the daemon does not stop'
    exit 1
    ;;
esac
