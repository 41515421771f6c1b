#!/bin/sh
# Draw the passwords and the token that compose.yaml reads. Files that are there stay as they are.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets  # the files can be read by the users in the containers, so others stay out here
for name in databases__main__password grafana_admin \
    service__identities__operator__token service__identities__remote__token; do
    [ -s "secrets/$name" ] && continue
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$name"
    chmod 444 "secrets/$name"
    echo "made secrets/$name"
done
