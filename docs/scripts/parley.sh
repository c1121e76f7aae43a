# For bash scripts, which begin with `. parley.sh`: requests with a token of their own, kept in PARLEY_DIR
# (~/.parley), readable by its user alone. Neither the password nor the token is ever in an argument,
# where `ps` would show it. Needs curl and jq.
# shellcheck shell=bash

# The home as passwd has it: daemons such as cron may set no HOME.
PARLEY_DIR=${PARLEY_DIR:-$(getent passwd "$EUID" | cut -d: -f6)/.parley}
[ -n "${PARLEY_URL:-}" ] || PARLEY_URL=$(cat "$PARLEY_DIR/url" 2>/dev/null) || PARLEY_URL=http://127.0.0.1:8080

# parley PATH [option of curl]…: a request to /api/v1/PATH. Fails when it is refused; the reason is printed.
parley() {
    [ -r "$PARLEY_DIR/token" ] || { echo "parley: nobody is signed in; see parley_sign_in" >&2; return 1; }
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
# or the first line of standard input. What is kept is a token for scripts (the scopes read, send and
# admin, if none are given in PARLEY_SCOPES), which is good until it is revoked.
parley_sign_up() {
    parley_password auth/register --data-urlencode "username=$1" --data-urlencode "email=$2"
}
parley_sign_in() {
    parley_password auth/login --data-urlencode "username=$1"
}

# ---- inside ----

parley_password() {
    local password login
    read -rsp 'Password: ' password
    login=$(curl -sS "$PARLEY_URL/api/v1/$1" "${@:2}" --data-urlencode password@<(printf %s "$password"))
    parley_keep "$login"
}

# Changes the tokens of a login for one that stays.
parley_keep() (
    umask 077
    mkdir -p "$PARLEY_DIR" && cd "$PARLEY_DIR" || exit
    header='// empty | "header = \"Authorization: Bearer \(.)\""'
    login=$(jq -er ".tokens.access_token $header" <<<"$1") || { echo "$1" >&2; exit 1; }
    made=$(curl -sS -K - <<<"$login" "$PARLEY_URL/api/v1/tokens" --data-urlencode "label=$(id -un)@$HOSTNAME" \
        --data-urlencode "scopes=${PARLEY_SCOPES:-read send admin}")
    curl -sS -K - <<<"$login" -X POST "$PARLEY_URL/api/v1/auth/logout"
    jq -er ".secret $header" <<<"$made" >token.new || { echo "$made" >&2; exit 1; }
    echo "$PARLEY_URL" >url
    mv token.new token
)
