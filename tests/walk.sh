#!/bin/bash
# Everything Parley offers to those who run it and to those who only have curl, tried once as its users would: on a
# fresh Debian (see tests/deb.sh) with the package and its documents, and nothing else of Parley's. Boxes of the
# documents are taken from /usr/share/doc/parley. Prints each command and the beginning of what it said; ends with the
# first that fails or says something else.
set -uo pipefail
export DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C.UTF-8 PGTZ=UTC
DOC=/usr/share/doc/parley
HOST=https://chat.example.org
LINES_MOST=8
cd /test || exit 1
umask 022

# ---- how a step is tried

item() { printf '\n== %s\n\n' "$*"; }
wrong() {
    echo "WRONG: $*"
    tail -n 40 /test/said | cut -c 1-400
    journalctl -n 25 -q --no-pager -o cat 2>/dev/null | cut -c 1-300
    exit 1
}
# shown LINES…: commands as somebody typed them.
shown() { sed -e '1s/^/$ /' -e '2,$s/^/  /' <<<"$1"; }
said() { cut -c 1-180 /test/said | grep -v '^$' | head -n "$LINES_MOST" | sed 's/^/    /'; }
expect() { [ -z "$1" ] || grep -Eq -- "$1" /test/said || wrong "it does not say $1"; }
# try COMMANDS [PATTERN]: by root; they succeed and say PATTERN (extended, anywhere). What they set stays set.
try() {
    shown "$1"
    eval "$1" >/test/said 2>&1 || wrong "status $?"
    said
    expect "${2:-}"
}
# fails STATUS COMMANDS PATTERN
fails() {
    local status=0
    shown "$2"
    (eval "$2") >/test/said 2>&1 || status=$?
    said
    [ "$status" = "$1" ] || wrong "status $status"
    expect "$3"
}
# you COMMANDS [PATTERN]: the same by a user who is nobody in particular, in a shell of its own.
you() {
    shown "$1"
    as_you "$1" >/test/said 2>&1 || wrong "status $?"
    said
    expect "${2:-}"
}
as_you() { runuser -l you -c "set -euo pipefail; cd; $1"; }
# by USER COMMANDS [PATTERN]: a document's box, by the user it is for.
by() {
    shown "$2" | sed "1s/^/($1) /"
    echo "$2" >/test/box
    runuser -u "$1" -- bash -euo pipefail /test/box >/test/said 2>&1 || wrong "status $?"
    said
    expect "${3:-}"
}
soon() {        # soon SECONDS CONDITION: as commands that succeed within so many seconds
    local until=$((SECONDS + $1))
    until (eval "$2") >/test/soon 2>&1; do
        [ $SECONDS -lt $until ] || { cp /test/soon /test/said; wrong "not within $1 s: $2"; break; }
        sleep 0.3
    done
}
# in_background NAME COMMAND: by that user, until `systemctl stop NAME`.
in_background() { systemd-run -q --collect --unit="$1" -p User=you -p WorkingDirectory=/home/you bash -lc "$2"; }
# A document's box: of scripts.md by its name, of others the first that has this text.
snippet() { zcat -f $DOC/scripts.md* | sed -n "/^<!-- $1 -->\$/,/^\`\`\`\$/p" | sed -e '1,2d' -e '$d'; }
box() { zcat -f "$DOC/$1"* | awk -v RS='```' -v want="$2" 'NR % 2 == 0 && index($0, want) { sub(/^[^\n]*\n/, ""); printf "%s", $0; exit }'; }
here() { sed -e "s|http://127.0.0.1:8080|$HOST|g"; }
sudo() {        # root does without, and changes to another user for one command only
    if [ "$1" = -u ]; then local as=$2; shift 2; runuser -u "$as" -- "$@"; else "$@"; fi
}

# ---- installing

item "B4: the package, with its defaults (admin.md, Install)"
# (PostgreSQL, nginx and what the package needs come from Debian; so do cron, curl and jq for the scripts.)
INSTALL='sudo apt install postgresql nginx ./build/deb/parley_*.deb'
mkdir -p build/deb && cp parley.deb build/deb/parley_0_amd64.deb
apt() { apt-get -qy -o Dpkg::Use-Pty=0 "$@"; }
shown "$INSTALL"
eval "$INSTALL" >/test/said 2>&1 || wrong "status $?"
grep -E '^(migrate:|Setting up parley)' /test/said | tail -n 4 | sed 's/^/    /'
box admin.md 'make deb' | grep -qxF "$INSTALL" || wrong "admin.md says something else"
apt --no-install-recommends install cron jq python3 apache2 php-fpm >/test/said 2>&1 || wrong "cron, jq, python3, apache2"
systemctl disable --now -q apache2
useradd -m -s /bin/bash you
try 'systemctl is-active parley.target parley-api parley-auth parley-ws@1 parley-courier' '^active$'
try 'grep -E "^[A-Z]" /etc/parley/parley.env | sed "s/password=.*/password=…/"' DATABASE_URL

item "B5: TLS, in a server block that has a PHP site already (admin.md, TLS)"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout /etc/ssl/private/chat.example.org.key \
    -out /etc/ssl/chat.example.org.pem -subj /CN=chat.example.org -addext subjectAltName=DNS:chat.example.org 2>/dev/null
cp /etc/ssl/chat.example.org.pem /usr/local/share/ca-certificates/chat.crt
update-ca-certificates >/dev/null 2>&1
echo '127.0.0.1 chat.example.org' >>/etc/hosts
echo '<?php echo "the site, by PHP ", strlen($_SERVER["REQUEST_METHOD"]), "\n";' >/var/www/html/index.php
PHP_SITE='    root /var/www/html;
    location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.2-fpm.sock; }'
box admin.md 'include snippets/parley.conf' | awk -v site="$PHP_SITE" '/^}/ { print site } { print }' >/etc/nginx/sites-available/chat
ln -s ../sites-available/chat /etc/nginx/sites-enabled/chat
try 'cat /etc/nginx/sites-enabled/chat' 'include snippets/parley.conf'
systemctl start php8.2-fpm nginx
LINES_MOST=30
try "$(box admin.md 'systemctl reload nginx')" ' 0 bad'
LINES_MOST=8
try "curl -s $HOST/index.php" 'the site, by PHP'
try "curl -s -o /dev/null -w '%{http_code}\n' $HOST/api/v1/users/me" 401

item "B1, B2: is it all right? (admin.md, Install)"
try "$(box admin.md 'parleyctl stats' | here)" ' 0 bad'
try "$(box admin.md 'user add' | here)" admin

# ---- for scripts

item "A7: what scripts begin with (scripts.md, Once), as a user who is nobody in particular"
you 'mkdir -p ~/bin && install -m 755 /usr/share/parley/scripts/* ~/bin && ls ~/bin' parley-sendmail
as_you 'PARLEY_URL='$HOST'; PARLEY_DIR=~/.alice; . parley.sh; parley_sign_up alice alice@example.org <<<"correct horse"' >/test/said 2>&1 || wrong alice
you "$(snippet account | here | sed '/sign_up/s/$/ <<<"correct horse battery"/')" '"username": *"ops-bot"'
you "$(snippet group)" '"name": *"ops"'
you "$(snippet say)" 'up '
you "$(snippet direct)" 'nearly full'
you "$(snippet history)" 'ops-bot.*backup done'
# The two as themselves, for what follows.
cat >/home/you/.walk <<EOF
URL=$HOST BOT=~/.parley/token ALICE=~/.alice/token
ROOM=$(as_you '. parley.sh; parley_group ops')
alice() { PARLEY_DIR=~/.alice bash -c '. parley.sh; parley "\$@"' - "\$@"; }
says() { alice "conversations/\$ROOM/messages" --data-urlencode "body=\$1" -o /dev/null; }
EOF
chown you: /home/you/.walk
as_you() { runuser -l you -c "set -euo pipefail; cd; . ./.walk; $1"; }

item "A1: events, by polling, by a long poll, as a stream that goes on where it was cut off"
you 'curl -sS -K $BOT $URL/api/v1/events | tee first' '"cursor"'
you 'says "who is there?"; curl -sS -K $BOT "$URL/api/v1/events?after=$(jq -r .cursor first)&type=message"' 'who is there'
you 'AT=$(curl -sS -K $BOT -o /dev/null -w "%header{x-next-cursor}" $URL/api/v1/events)
(sleep 2; says "worth the wait") &
curl -sS -K $BOT -w "after %{time_total} s\n" -H "Accept: text/plain" "$URL/api/v1/events?wait=60&conversation=$ROOM&after=$AT"' 'worth the wait'
grep -Eq 'after 2\.[0-9]' /test/said || wrong "the long poll did not wait for it"
you '(sleep 1; says "on the stream") &
curl -sS -N -m 3 -K $BOT -H "Accept: text/event-stream" "$URL/api/v1/events?type=message" >stream || [ $? = 28 ]
cat stream' 'on the stream'
you 'says "while nobody reads"
curl -sS -N -m 2 -K $BOT -H "Accept: text/event-stream" -H "Last-Event-ID: $(sed -n "s/^id: *//p" stream | tail -n 1)" "$URL/api/v1/events?type=message" >stream2 || [ $? = 28 ]
cat stream2' 'while nobody reads'
grep -q 'on the stream' /home/you/stream2 && wrong "the stream repeats what was read"

item "A2: a cursor kept by the server"
you 'curl -sS -K $BOT "$URL/api/v1/events?consumer=backup-bot"' '"events": *\[\]'
you 'says "for the consumer"; curl -sS -K $BOT "$URL/api/v1/events?consumer=backup-bot" | tee page' 'for the consumer'
you 'curl -sS -K $BOT "$URL/api/v1/events?consumer=backup-bot" | jq ".events | length"' '^1$'
you 'curl -sS -K $BOT $URL/api/v1/consumers/backup-bot/ack -d cursor=$(jq -r .cursor page) -w "%{http_code}\n"' '20[04]'
you 'curl -sS -K $BOT "$URL/api/v1/events?consumer=backup-bot" | jq ".events | length"' '^0$'
you 'curl -sS -K $BOT $URL/api/v1/consumers' 'backup-bot'

item "A3: tokens for scripts (a login makes them)"
you 'LOGIN=$(curl -sS $URL/api/v1/auth/login -d username=ops-bot -d "password=correct horse battery" | jq -r .tokens.access_token)
echo "header = \"Authorization: Bearer $LOGIN\"" >login
curl -sS -K login $URL/api/v1/tokens -d label=nagios -d scopes=send -d expires_in=3600 | tee made' '"secret"'
you 'echo "header = \"Authorization: Bearer $(jq -r .secret made)\"" >script
curl -sS -K script "$URL/api/v1/conversations/$ROOM/messages" -d body=load' '"body": *"load"'
you 'curl -sS -K script "$URL/api/v1/conversations/$ROOM/messages"' 'insufficient_scope'
you 'curl -sS -K login $URL/api/v1/tokens | jq -r ".tokens[] | \"\(.label) \(.scopes) until \(.expires_at), used \(.used_at)\""' 'nagios.*used 20'
you 'curl -sS -K login -X DELETE -w "%{http_code}\n" $URL/api/v1/tokens/$(jq -r ".token.id // .id" made)' '20[04]'
you 'curl -sS -K script -w "\n%{http_code}\n" "$URL/api/v1/conversations/$ROOM/messages" -d body=load' '^401$'
try "sudo -u postgres psql -Atc \"SELECT left(encode(hash, 'hex'), 16) || '… is all there is of it' FROM tokens LIMIT 1\" parley" '^[0-9a-f]{16}'

item "A4: incoming webhooks, for senders of every kind"
you "$(snippet webhook)"
you "$(snippet hook)" ok
you 'HOOK=$(sed -n "s/^url = \"\(.*\)\"/\1/p" ~/.ops-hook)
curl -sS --json "{\"text\": \"Slack, JSON\"}" $HOOK; echo
curl -sS --data-urlencode "payload={\"text\": \"Slack, payload=\"}" $HOOK; echo
curl -sS -H "Content-Type: text/plain" --data-binary "plain text" $HOOK; echo
curl -sS -X POST "$HOOK?text=in+the+address"; echo' '^ok$'
you 'curl -sS -K $BOT -H "Accept: text/plain" "$URL/api/v1/conversations/$ROOM/messages?limit=4" | cut -f 4,5' 'Slack, payload='
[ "$(cut -f 2 /test/said | sort | paste -sd ,)" = "Slack, JSON,Slack, payload=,in the address,plain text" ] || wrong "not all four"
you 'HOOKS=$URL/api/v1/conversations/$ROOM/webhooks
ID=$(curl -sS -K $BOT $HOOKS | jq -r ".webhooks[0].id")
curl -sS -K $BOT -X POST $HOOKS/$ID/rotate | jq -r .url >rotated
curl -sS -K ~/.ops-hook -o /dev/null -w "the old address: %{http_code}\n" -d gone
curl -sS -w " by the new one\n" -d "still here" $(cat rotated)
curl -sS -K $BOT -X DELETE $HOOKS/$ID -w "deleted: %{http_code}\n"
curl -sS -o /dev/null -w "then: %{http_code}\n" -d gone $(cat rotated)' 'ok by the new one'
grep -q 'old address: 404' /test/said && grep -q 'then: 404' /test/said || wrong "addresses that are gone answer"

item "A5: callbacks to a receiver of one's own (callbacks.md), which is on this machine and so has to be allowed"
echo "import sys, http.server" >/home/you/receiver.py
box callbacks.md 'import base64' >>/home/you/receiver.py
cat >>/home/you/receiver.py <<'EOF'

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print("signature good:" if verify(open("secret").read().strip(), self.headers, body) else "FORGED:", body.decode(), flush=True)
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass

http.server.HTTPServer(("127.0.0.1", 9999), Receiver).serve_forever()
EOF
CREATE="TOKEN=\$(sed -n 's/.*Bearer \\(.*\\)\"/\\1/p' \$BOT) GROUP=\$ROOM HOOK=http://127.0.0.1:9999/parley
$(box callbacks.md 'callbacks" -d "url=' | sed 's/$/ | tee callback/')"
you "$CREATE" '"secret": *"whsec_'
you 'says "to nobody yet"'
try "cat >>/etc/parley/parley.env <<END
CALLBACK_RETRY=1
CALLBACK_GIVE_UP=2
END
systemctl restart parley-courier"
DELIVERIES='curl -sS -K $BOT "$URL/api/v1/conversations/$ROOM/callbacks/$(jq -r .callback.id callback)/deliveries'
soon 30 "as_you '$DELIVERIES?state=dead\"' | grep -q '\"dead\"'"
you "$DELIVERIES?state=dead\" | jq -c '.deliveries[] | {type, state, attempts, error}'" '"dead"'
try "sed -i 's/^CALLBACK_GIVE_UP=.*/CALLBACK_ALLOW=127.0.0.1/' /etc/parley/parley.env && systemctl restart parley-courier"
in_background receiver 'jq -r .callback.secret callback >secret; exec python3 receiver.py >received 2>&1'
soon 10 "curl -s -o /dev/null http://127.0.0.1:9999/ || [ \$? = 52 ]"
you 'curl -sS -K $BOT -X POST -w "%{http_code}\n" "$URL/api/v1/conversations/$ROOM/callbacks/$(jq -r .callback.id callback)/redeliver"' '20[024]'
you 'says "to the receiver"'
soon 20 "grep -q 'to the receiver' /home/you/received && grep -q 'to nobody yet' /home/you/received"
you 'cat received' '^signature good:.*to nobody yet'
grep -q FORGED /home/you/received && wrong "a signature does not fit"
systemctl stop receiver

item "A6: from SQL (sql.md): the system's user backup gets the right to post, and no other"
try "sudo -u postgres psql -q parley <<'END'
$(box sql.md 'CREATE ROLE backup')
CREATE SCHEMA AUTHORIZATION backup CREATE TABLE jobs (name text, finished_at timestamptz);
INSERT INTO backup.jobs VALUES ('backup');
GRANT USAGE ON SCHEMA backup TO parley;
GRANT SELECT ON ALL TABLES IN SCHEMA backup TO parley;
END"
try "sudo -u postgres psql -qc 'ALTER TABLE backup.jobs OWNER TO backup' parley"
try "sudo -u backup psql -q parley <<'END'
$(box sql.md 'UPDATE jobs')
END"
try "sudo -u backup psql -q parley <<'END'
BEGIN;
SELECT chat_post('ops', 'this never was');
ROLLBACK;
END"
soon 5 "as_you 'curl -sS -K \$BOT -H \"Accept: text/plain\" \"\$URL/api/v1/conversations/\$ROOM/messages?limit=1\"' | grep -q 'backup done'"
you 'curl -sS -K $BOT -H "Accept: text/plain" "$URL/api/v1/conversations/$ROOM/messages?limit=2" | cut -f 4,5' 'sql:backup.backup done'
grep -q 'never was' /test/said && wrong "what was rolled back was said"
fails 1 "sudo -u backup psql -qc 'SELECT content FROM messages' parley" 'permission denied'
try 'systemctl stop parley-ws@1.socket parley-ws@1
sudo -u backup psql -qAtc "SELECT chat_post('"'ops', 'by cron'"')" parley'
by parley "$(box sql.md chat_posts_deliver | sed -E 's/^(\* ){5} *//')"
you 'curl -sS -K $BOT -H "Accept: text/plain" "$URL/api/v1/conversations/$ROOM/messages?limit=1" | cut -f 4,5' 'by cron'
systemctl start parley-ws@1.socket parley-ws@1

item "A7: a bot, a report and a mail from cron, tail -f (scripts.md)"
snippet bot >/home/you/bin/uptime-bot
snippet report >/home/you/bin/disk-report
chmod 755 /home/you/bin/*
you 'cat bin/uptime-bot' 'uptime-bot'
in_background uptime-bot uptime-bot
snippet tail >/home/you/tail.sh
in_background tail 'bash tail.sh >tailed 2>&1'
soon 10 "as_you '. parley.sh; parley consumers' | grep -q uptime-bot"
you 'says "!uptime"'
soon 15 "grep -q 'load average' /home/you/tailed"
you 'cat tailed' 'load average'
you 'says "!uptime is not the question"; sleep 2; grep -c "load average" tailed' '^1$'
install -m 755 /usr/share/parley/scripts/* /usr/local/bin
try "$(zcat -f $DOC/scripts.md* | grep -o 'ln -s /usr/local/bin/parley-sendmail /usr/sbin/sendmail')"
you "$(snippet mail)"
(snippet crontab | sed 's/^0 7 /* * /'; snippet mailto | sed 's/^0 8 /* * /') >/home/you/crontab
try 'crontab -u you /home/you/crontab; crontab -u you -l' MAILTO=ops
soon 90 "grep -q Filesystem /home/you/tailed && grep -q 'today.tar' /home/you/tailed"
crontab -u you -r
you 'grep -E "Filesystem|today.tar|Disk full" tailed' 'Cron <you@'
systemctl stop uptime-bot tail
you "$(snippet revoke | here | sed 's/^read.*/PASSWORD="correct horse battery"/')" you@
fails 22 "as_you '. parley.sh; parley users/me'" unauthorized

# ---- for those who run it

item "B1: parleyctl"
LINES_MOST=5
try 'parleyctl config show | grep -E "DATABASE_URL|PUBLIC_URL"' chat.example.org
try 'echo "correct horse battery" | parleyctl user add --email carol@example.org --display-name Carol carol' carol
try 'parleyctl user list' carol
try 'parleyctl --json user list carol | jq -c ".[0] // .users[0] | {username, email}"' '"carol"'
try 'parleyctl user disable carol'
try "curl -s -o /dev/null -w '%{http_code}\n' $HOST/api/v1/auth/login -d username=carol -d 'password=correct horse battery'" '40[13]'
try 'parleyctl user enable carol; echo "another horse battery" | parleyctl user passwd carol; parleyctl user promote carol'
try "curl -s -o /dev/null -w '%{http_code}\n' $HOST/api/v1/auth/login -d username=carol -d 'password=another horse battery'" 200
try 'TOKEN=$(parleyctl session create carol); curl -s -H "Authorization: Bearer $TOKEN" '$HOST'/api/v1/users/me' '"username": *"carol"'
try 'parleyctl session list carol' carol
try 'parleyctl session revoke --user carol'
try 'curl -s -o /dev/null -w "%{http_code}\n" -H "Authorization: Bearer $TOKEN" '$HOST'/api/v1/users/me' 401
try 'SCRIPT=$(parleyctl token create alice --label cron --scope read,send --expires 30); curl -s -H "Authorization: Bearer $SCRIPT" '$HOST'/api/v1/users/me' '"username": *"alice"'
try 'parleyctl token list alice' cron
try 'parleyctl token revoke $(parleyctl --json token list alice | jq -r ".[] | select(.label == \"cron\").id")
curl -s -o /dev/null -w "%{http_code}\n" -H "Authorization: Bearer $SCRIPT" '$HOST'/api/v1/users/me' 401
try 'parleyctl user export alice | jq -c keys' messages
try 'parleyctl user delete --yes carol'
fails 67 'parleyctl user disable carol' carol
fails 67 'parleyctl --json user disable carol' '"exit": *67'
try 'parleyctl key list; parleyctl key rotate; parleyctl key list'
try "soon 10 \"curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer \$(parleyctl session create alice)' $HOST/api/v1/users/me | grep 200\"; echo 'the new key signs, and is known'"
try 'parleyctl conversation list' ops
try 'ROOM=$(parleyctl --json conversation list | jq -r ".[] | select(.name == \"ops\").id"); parleyctl conversation show --messages 2 $ROOM' ops
try 'parleyctl export --output server.jsonl; wc -l <server.jsonl; sudo -u postgres createdb --owner parley --encoding UTF8 --template template0 moved'
try "sudo -u parley env DATABASE_URL='host=/run/postgresql dbname=moved' parleyctl migrate | tail -n 1"
chmod 644 server.jsonl && mv server.jsonl /var/tmp
try "sudo -u parley env DATABASE_URL='host=/run/postgresql dbname=moved' parleyctl import /var/tmp/server.jsonl"
try 'sudo -u parley psql -Atc "SELECT count(*) FROM messages" moved; sudo -u parley psql -Atc "SELECT count(*) FROM messages" parley | tee here'
[ "$(sort -u /test/said | wc -l)" = 1 ] || wrong "not all messages came along"
try '. /usr/share/bash-completion/completions/parleyctl && complete -p parleyctl' parleyctl
try 'for page in man1/parleyctl.1 man5/parley.env.5 man8/ws-daemon.8; do zcat /usr/share/man/$page.gz | head -n 3 | tail -n 1; done'

item "B2: the doctor finds what somebody broke in nginx, and names what mends it"
SNIPPET=/etc/nginx/snippets/parley.conf
cp $SNIPPET snippet
broken() { try "sed -i '$1' $SNIPPET && nginx -s reload"; sleep 1; }
LINES_MOST=6
broken 's/proxy_set_header Upgrade .*/# &/'
fails 1 "parleyctl doctor $HOST >all || { grep -A 1 ^bad all; exit 1; }" 'proxy_set_header Upgrade'
cp snippet $SNIPPET
broken 's/fastcgi_keep_conn off;/& fastcgi_param HTTP_AUTHORIZATION "";/'
fails 1 "parleyctl doctor $HOST >all || { grep -A 1 '^bad *authorization' all; exit 1; }" HTTP_AUTHORIZATION
cp snippet $SNIPPET
try 'nginx -s reload'

item "B3: health and metrics"
LINES_MOST=4
for port in 9461 9462 9463 9471; do
    try "for what in healthz readyz; do curl -s -w ' %{http_code}\n' http://127.0.0.1:$port/\$what; done; curl -s http://127.0.0.1:$port/metrics | grep -c '^parley_'" 200
done
LINES_MOST=8
try 'curl -s http://127.0.0.1:9471/metrics | grep -E "^parley_(sockets|notify_lag_seconds|outbox_bytes|feed_gaps)"' parley_
try 'curl -s http://127.0.0.1:9461/metrics | grep "^parley_http_requests_total" | head -n 4' 'route='
try 'systemctl stop postgresql@15-main'
soon 20 "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9471/readyz | grep 503"
try 'curl -s -w " %{http_code}\n" http://127.0.0.1:9471/readyz; curl -s -w " %{http_code}\n" http://127.0.0.1:9471/healthz' 503
try "curl -s -w ' %{http_code}\n' -H 'Authorization: Bearer nobody' $HOST/api/v1/events | tail -c 300" '(401|503)'
try 'systemctl start postgresql@15-main'
soon 30 "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9471/readyz | grep 200 && curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9461/readyz | grep 200"

item "B6: retention, and a backup that is proved (admin.md)"
CONVERSATION=$ROOM
try "$(box admin.md 'conversation retention "$CONVERSATION" 90' | sed 's/^psql/sudo -u parley psql/')"
old() { sudo -u parley psql -Atc "SELECT count(*) FROM messages WHERE created_at < now() - interval '1 day'" parley; }
sudo -u parley psql -qc "UPDATE messages SET created_at = created_at - interval '9 days' WHERE seq <= 3 AND conversation_id = (SELECT id FROM conversations WHERE name = 'ops')" parley
try old 3
try 'parleyctl conversation retention $CONVERSATION 7'
soon 90 '[ "$(old)" = 0 ]'
try 'old; journalctl -q -o cat -u parley-courier | grep messages_purged | tail -n 1' messages_purged
try "$(box admin.md 'ALTER ROLE parley CREATEDB' | sed '/sudo -u parley bash/d')"
by parley "$(box admin.md 'pg_dump -Fc')" 'complete:'
by parley "$(box admin.md 'createdb --template')" 'complete:'
try "sudo -u parley psql -qc 'DELETE FROM messages WHERE seq = 5' restored"
fails 65 "sudo -u parley parleyctl backup verify dbname=restored" '5'

item "B4: a second daemon (admin.md, More daemons)"
try "$(box admin.md 'enable --now parley-ws@2')"
try "sed -i 's|^\( *\)server unix:/run/parley/ws-1.sock.*|&\n\1server unix:/run/parley/ws-2.sock max_fails=0;|' /etc/nginx/conf.d/parley.conf && nginx -s reload && grep -n 'ws-.\.sock' /etc/nginx/conf.d/parley.conf" 'ws-2'
soon 10 'curl -sf -o /dev/null http://127.0.0.1:9472/readyz'
try "parleyctl doctor $HOST | grep -E '^ok *(daemons|notify)'" 'each of 2 daemons'
try 'journalctl -q -o cat -u parley-ws@2 | grep -o "event=listening.*"' 'address=/run/parley/ws-2.sock'

systemctl disable -q --now parley-ws@2 parley-ws@2.socket

item "B5: Apache in nginx's place (admin.md, Behind Apache)"
systemctl stop nginx
box admin.md 'Include /usr/share/parley/apache.conf' >/etc/apache2/sites-available/chat.conf
a2ensite -q chat
LINES_MOST=40
fails 1 "$(box admin.md 'a2enmod ssl headers')" '^bad +buffering'
LINES_MOST=8
expect ' 1 bad'
you 'curl -sS -K $ALICE -H "Accept: text/plain" "$URL/api/v1/conversations/$ROOM/messages?limit=2"'
you 'AT=$(curl -sS -K $ALICE -o /dev/null -w "%header{x-next-cursor}" $URL/api/v1/events)
(sleep 2; says "by Apache") &
curl -sS -K $ALICE -H "Accept: text/plain" "$URL/api/v1/events?wait=60&after=$AT"' 'by Apache'
try 'tail -n 2 /var/log/parley/access.log; ! grep -rE "token=|Bearer" /var/log/apache2 /var/log/parley'
try 'logrotate -f /etc/logrotate.d/parley && sleep 2 && curl -s -o /dev/null '$HOST'/api/v1/users/me && sleep 1 && tail -n 1 /var/log/parley/access.log' /api/v1/users/me

item "B5: plain CGI: nothing of Parley's runs (admin.md, Where nothing may run)"
try 'systemctl stop parley.target parley-api.socket parley-auth.socket parley-ws@1.socket parley-ws@2.socket; systemctl is-active parley-api parley-ws@1 || true' inactive
sudo -u postgres psql -qc "ALTER ROLE parley PASSWORD 'secret'"
mkdir -p /home/www && chown www-data /home/www
box admin.md 'DATABASE_URL=host=db.example.org' | sed -e 's/db.example.org/127.0.0.1/' -e 's|/home/you/parley|/home/www|' >/etc/parley/cgi.env
chown www-data /etc/parley/cgi.env && chmod 600 /etc/parley/cgi.env
sed -i 's|/apache.conf|/apache-cgi.conf|' /etc/apache2/sites-available/chat.conf
try 'a2enmod -q cgid headers && systemctl restart apache2; cat /etc/parley/cgi.env' KEY_FILE
as_you 'PARLEY_DIR=~/.alice; PARLEY_URL='$HOST'; . parley.sh; parley_sign_in alice <<<"correct horse"' >/test/said 2>&1 || wrong "alice cannot sign in"
you 'AT=$(curl -sS -K $ALICE $URL/api/v1/events | jq -r .cursor)
curl -sS -K $ALICE "$URL/api/v1/conversations/$(alice conversations | jq -r ".conversations[0].id")/messages" --json "{\"body\": \"by CGI\"}"; echo
curl -sS -K $ALICE -H "Accept: text/plain" "$URL/api/v1/events?after=$AT&type=message"' 'message.*by CGI'
try 'ps -C fcgi-app,ws-daemon,courier || echo "nothing runs"' 'nothing runs'

echo
echo "all well"
