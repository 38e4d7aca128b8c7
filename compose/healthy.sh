#!/bin/bash
# Whether a service of this container answers 200: healthy PORT PATH. It starts no interpreter, for it runs every few seconds.
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
read -r -t 5 _ status _ <&3 || exit 1
cat <&3 >/dev/null  # to the end: a service complains of whoever hangs up before
[ "$status" = 200 ]
