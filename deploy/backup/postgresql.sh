#!/usr/bin/env bash
# Point-in-time recovery of PostgreSQL: https://www.postgresql.org/docs/current/continuous-archiving.html
#
#   postgresql.sh archive ARCHIVE                       once, connected as a superuser: keep every piece of the log in the folder
#                                                       ARCHIVE. Start PostgreSQL again after it.
#   postgresql.sh base FOLDER                           every night: a copy of the whole server, while it works
#   postgresql.sh recover FOLDER ARCHIVE DATA [TIME]    a new data directory DATA out of such a copy and the log, as it was at
#                                                       TIME ('2026-01-31 09:00:00+00'), or at the end of the log
#
# It connects as libpq's variables say (PGHOST, PGPORT, PGUSER ...). Run `recover` as the account that runs PostgreSQL, start the
# server on DATA, look whether it holds what you wanted, and only then let others to it. ARCHIVE belongs on another machine's disk.
set -euo pipefail

usage() { sed -n '4,8s/^#   //p' "$0" >&2; exit 2; }
# A path inside a setting of PostgreSQL, inside a command for the shell.
plain() { case "$1" in *[!A-Za-z0-9_./-]*) echo "$1: use letters, digits and _ . / - only" >&2; exit 2 ;; esac; }

case "${1-}" in
archive)
    [ $# -eq 2 ] || usage
    plain "$2"
    # A file is copied whole or not at all, reaches the disk, and is never overwritten. A piece that is not full is closed after a
    # minute: so much is lost at most with the disk of the server.
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname postgres <<SQL
ALTER SYSTEM SET archive_mode = on;
ALTER SYSTEM SET archive_timeout = '60s';
ALTER SYSTEM SET archive_command = 'test ! -f $2/%f && cp %p $2/%f.part && sync $2/%f.part && mv $2/%f.part $2/%f';
SQL
    echo "restart PostgreSQL: archive_mode is read when it starts" >&2
    ;;
base)
    [ $# -eq 2 ] || usage
    pg_basebackup --pgdata "$2" --checkpoint fast --wal-method stream --no-password
    pg_verifybackup "$2" >/dev/null
    ;;
recover)
    [ $# -eq 4 ] || [ $# -eq 5 ] || usage
    plain "$3"
    pg_verifybackup "$2" >/dev/null
    [ ! -e "$4" ] || { echo "$4 exists already" >&2; exit 1; }
    cp -a "$2" "$4"
    chmod 700 "$4"
    # The recovered server begins a log of its own: it must not put it among the old one's.
    cat >>"$4/postgresql.auto.conf" <<CONF
archive_mode = 'off'
restore_command = 'cp $3/%f %p'
recovery_target_timeline = 'latest'
CONF
    if [ $# -eq 5 ]; then
        printf "recovery_target_time = '%s'\nrecovery_target_action = 'promote'\n" "${5//\'/}" >>"$4/postgresql.auto.conf"
    fi
    touch "$4/recovery.signal"
    ;;
*) usage ;;
esac
