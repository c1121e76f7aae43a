# For bash scripts, which begin with `. parley.sh`: signs in once, and makes requests with a token that is
# renewed in time. What it knows is in PARLEY_DIR (~/.parley), readable by its user alone; neither the
# password nor a token is ever in an argument, where `ps` would show it. Needs curl and jq.
# shellcheck shell=bash

# The home as passwd has it: daemons such as cron may set no HOME.
PARLEY_DIR=${PARLEY_DIR:-$(getent passwd "$EUID" | cut -d: -f6)/.parley}
[ -n "${PARLEY_URL:-}" ] || PARLEY_URL=$(cat "$PARLEY_DIR/url" 2>/dev/null) || PARLEY_URL=http://127.0.0.1:8080

# parley PATH [option of curl]…: a request to /api/v1/PATH. Fails when it is refused; the reason is printed.
parley() {
    parley_fresh || parley_renew || return
    curl -sS --fail-with-body -K "$PARLEY_DIR/token" "$PARLEY_URL/api/v1/$1" "${@:2}"
}

# parley_send PATH [option of curl]…: a send that is tried again while the server is away, and stored once.
parley_send() {
    parley "$@" --retry 5 --retry-connrefused -H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)"
}

# parley_group NAME: the id of the group of that name which was active last.
parley_group() {
    parley conversations | jq -er --arg name "$1" '[.conversations[] | select(.name == $name)][0].id'
}

# parley_sign_up NAME EMAIL makes an account, parley_sign_in NAME signs in to one. The password is asked for,
# or the first line of standard input.
parley_sign_up() {
    parley_password auth/register --data-urlencode "username=$1" --data-urlencode "email=$2"
}
parley_sign_in() {
    parley_password auth/login --data-urlencode "username=$1"
}

# ---- inside ----

parley_password() {
    local password
    read -rsp 'Password: ' password
    parley_keep "$(curl -sS "$PARLEY_URL/api/v1/$1" "${@:2}" --data-urlencode password@<(printf %s "$password"))"
}

# The token's file is dated with the time from which on it has to be renewed.
parley_fresh() {
    [ "$(stat -c %Y "$PARLEY_DIR/token" 2>/dev/null || echo 0)" -gt "$EPOCHSECONDS" ]
}

# Of scripts that find the token old at once one renews it; the others wait and have it.
parley_renew() {
    local lock
    [ -e "$PARLEY_DIR/refresh" ] || { echo "parley: nobody is signed in; see parley_sign_in" >&2; return 1; }
    {
        flock "$lock"
        parley_fresh || parley_keep "$(curl -sS "$PARLEY_URL/api/v1/auth/refresh" \
            --data-urlencode "refresh_token@$PARLEY_DIR/refresh")"
    } {lock}>"$PARLEY_DIR/lock"
}

# Keeps the tokens of an answer; without any it is a refusal, and printed.
parley_keep() (
    umask 077
    mkdir -p "$PARLEY_DIR" && cd "$PARLEY_DIR" || exit
    left=$(jq -e .tokens.expires_in <<<"$1") || { echo "$1" >&2; exit 1; }
    echo "$PARLEY_URL" >url
    jq -j .tokens.refresh_token <<<"$1" >refresh.new && mv refresh.new refresh
    jq -r '"header = \"Authorization: Bearer \(.tokens.access_token)\""' <<<"$1" >token.new
    touch -d "@$((EPOCHSECONDS + left * 9 / 10))" token.new
    mv token.new token
)
