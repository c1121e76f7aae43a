#!/bin/bash
# Brings a database to the schema of this checkout: applies each db/NNNN_name.sql once, in order.
#
# Usage: db/migrate.sh [DATABASE_URL]      (better: the variable, as arguments show in ps)
#
# Hosts that migrate at the same moment take turns through an advisory lock. Each file is one
# transaction together with its row in schema_migrations, so a failing file changes nothing.
# Says what it applies; says nothing when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")"
url=${1:-${DATABASE_URL:-}}
export PGCONNECT_TIMEOUT=${PGCONNECT_TIMEOUT:-5}  # then it is the next host's turn
LOCK=7237458231     # any number, as long as nothing else in the database locks it

die() {
    echo "migrate: $*" >&2
    exit 1
}

[ -n "$url" ] || die "set DATABASE_URL"

# psql takes a whole URL only as an argument, and arguments show in ps; the password goes by environment.
hide_password() {
    local uri='^(postgres(ql)?://[^:@/]*):([^@/]*)@(.*)$'
    local query='^(postgres(ql)?://.*[?&])password=([^&]*)&?(.*)$'
    local pair="^(.*[[:space:]])?password[[:space:]]*=[[:space:]]*('([^'\\\\]|\\\\.)*'|[^[:space:]]*)(.*)\$"
    if [[ $url =~ $uri ]]; then
        url=${BASH_REMATCH[1]}@${BASH_REMATCH[4]}
        printf -v PGPASSWORD %b "${BASH_REMATCH[3]//%/\\x}"
    elif [[ $url =~ $query ]]; then
        url=${BASH_REMATCH[1]}${BASH_REMATCH[4]}
        printf -v PGPASSWORD %b "${BASH_REMATCH[3]//%/\\x}"
    elif [[ $url != postgres*://* && $url =~ $pair ]]; then
        url=${BASH_REMATCH[1]}${BASH_REMATCH[4]}
        PGPASSWORD=${BASH_REMATCH[2]}
        [[ $PGPASSWORD != \'* ]] || PGPASSWORD=$(sed "s/^'//; s/'\$//; s/\\\\\\(.\\)/\\1/g" <<<"$PGPASSWORD")
    fi
    url=${url%[?&]}
    [ -z "${PGPASSWORD:-}" ] || export PGPASSWORD
}

# One psql session, because the lock lives as long as the session.
script() {
    cat <<-EOF
	\\o /dev/null
	SET client_min_messages = warning;
	SET statement_timeout = 0;
	SET lock_timeout = 0;
	SELECT current_setting('server_encoding') AS encoding, current_setting('server_encoding') <> 'UTF8' AS narrow \\gset
	\\if :narrow
	    \\echo ENCODING :encoding
	    \\quit
	\\endif
	SELECT pg_advisory_lock($LOCK);
	CREATE TABLE IF NOT EXISTS schema_migrations (
	    version    integer PRIMARY KEY,                      -- the NNNN of the file
	    name       text NOT NULL,                            -- the file
	    applied_at timestamptz NOT NULL DEFAULT now()
	);
	SELECT coalesce(max(version), 0) AS present, coalesce(max(version), 0) > $highest AS newer
	  FROM schema_migrations \\gset
	\\if :newer
	    \\echo NEWER :present
	    \\quit
	\\endif
	EOF
    for file in "${files[@]}"; do
        cat <<-EOF
		SELECT NOT EXISTS (SELECT FROM schema_migrations WHERE version = $(number "$file")) AS todo \\gset
		\\if :todo
		    \\echo migrate: $file
		    BEGIN;
		    \\i $file
		    INSERT INTO schema_migrations (version, name) VALUES ($(number "$file"), '$file');
		    COMMIT;
		\\endif
		EOF
    done
    # A dump that was restored into a younger cluster: see xids_ahead() in 0012_retention.sql.
    cat <<-EOF
	SELECT to_regprocedure('xids_ahead()') IS NOT NULL AS known \\gset
	\\if :known
	    SELECT xids_ahead() AS ahead, xids_ahead() > 0 AS behind \\gset
	    \\if :behind
	        \\echo restored: from a cluster that was further on; using up :ahead transaction ids
	        SET synchronous_commit = off;
	        CALL xids_use(:ahead);
	    \\endif
	\\endif
	EOF
}

number() {
    echo $((10#${1%%_*}))
}

shopt -s nullglob
files=([0-9][0-9][0-9][0-9]_*.sql)
[ ${#files[@]} -gt 0 ] || die "no migrations in $PWD"
highest=$(number "${files[-1]}")
twice=$(printf '%s\n' "${files[@]%%_*}" | uniq -d)
[ -z "$twice" ] || die "two migrations are numbered $twice"

hide_password
script | psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$url" | {
    status=0
    while read -r word rest; do
        if [ "$word" = NEWER ]; then
            echo "migrate: the database has schema $rest, these programs know up to $highest: install newer ones" >&2
            status=1
        elif [ "$word" = ENCODING ]; then
            echo "migrate: the database is encoded in $rest, messages are UTF-8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0" >&2
            status=1
        else
            echo "$word $rest"
        fi
    done
    exit $status
}
