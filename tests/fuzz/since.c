/* `?since=` as it comes, in every dialect. The first byte chooses the dialect and how the database
 * answers. */
#include "tests/fuzz/support/database.h"
#include "tests/fuzz/support/fuzz.h"
#include "tests/fuzz/support/sockets.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dialect_ops *const all[] = {&dialect_dm, &dialect_conv, &dialect_p2p, &dialect_rooms,
                                                    &dialect_groups};
    if (!size)
        return 0;
    struct conn *c = sockets_open(all[data[0] % 5]);
    database_up = !(data[0] & 64);
    c->since = fuzz_text(data + 1, size - 1);
    sockets_admit(c);
    CHECK(!c->since);
    for (int i = 0; i < 3; i++) {
        sockets_turn(c);
        database_answer(data[0] & 32 ? ANSWER_AWAY : ANSWER_FAILED);
    }
    sockets_turn(c);
    CHECK(c->state == CONN_LIVE || c->state == CONN_CLOSING || c->replay);
    sockets_close(c);
    return 0;
}
