/* What other daemons say through NOTIFY. The channel is open to whoever may use the database, so a
 * payload may hold anything; at most 7,999 bytes, without NUL. */
#include "tests/fuzz/support/database.h"
#include "tests/fuzz/support/fuzz.h"
#include "tests/fuzz/support/sockets.h"
#include "ws-daemon/hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dialect_ops *const all[] = {&dialect_conv, &dialect_p2p, &dialect_rooms};
    struct conn *sockets[3];
    char *payload = fuzz_text(data, size < 7999 ? size : 7999);
    database_up = true;
    for (int i = 0; i < 3; i++) {
        sockets[i] = sockets_open(all[i]);
        sockets_admit(sockets[i]);
        database_answer(ANSWER_AWAY);
        if (sockets[i]->state == CONN_REPLAY)
            conn_go_live(sockets[i]);
    }
    database_notify(payload);
    for (int i = 0; i < 3; i++)
        sockets_turn(sockets[i]);
    database_answer(ANSWER_AWAY);
    for (int i = 0; i < 3; i++)
        sockets_turn(sockets[i]);
    for (int i = 0; i < 2; i++) { /* the last one by sockets_close(), which wants to be the last */
        struct conn *c = sockets[i];
        hub_leave(c->daemon->hub, c);
        conn_set_state(c, CONN_GONE);
        conn_unref(c);
    }
    sockets_close(sockets[2]);
    free(payload);
    return 0;
}
