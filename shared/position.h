/* A place in what happens, and the cursor clients carry it in. A place is a pg_snapshot: what it sees
 * has been shown. Whatever order transactions commit in, "not seen then, seen now" misses nothing.
 *
 * The cursor is opaque to clients; it holds nothing but letters, digits, '-' and '_'. */
#ifndef PARLEY_POSITION_H
#define PARLEY_POSITION_H

#include "shared/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { POSITION_MOST = 6000 }; /* bytes of a cursor: it has to fit into a URL */

/* Between two snapshots where a page ended in the middle: of what upto sees and seen does not, all up
 * to the id after has been shown. Texts of pg_snapshots, borrowed. */
struct position {
    const char *seen; /* NULL: none, begin at the present */
    const char *upto; /* NULL: all that seen sees has been shown, and no more */
    int64_t after;
};

/* Reads a cursor; false when it is none, as is every id. Strings are the arena's. Whether the database can have given it
 * out only the database knows. */
bool position_parse(struct arena *a, const char *text, struct position *out);

/* The cursor; seen must not be NULL. */
const char *position_text(struct arena *a, const struct position *p);

/* A copy whose strings are the arena's. */
struct position position_copy(struct arena *a, const struct position *p);

/* A snapshot's xmax, and its xip as an array's text: "{…}". */
const char *snapshot_xmax(struct arena *a, const char *snapshot);
const char *snapshot_xip(struct arena *a, const char *snapshot);

#endif
