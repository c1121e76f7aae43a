/* Public ids. Every row has an integer id; its UUID is derived from (id, created_at): a UUIDv7
 * (RFC 9562) whose timestamp is created_at in milliseconds and whose low 62 bits are the id. */
#ifndef PARLEY_ID_H
#define PARLEY_ID_H

#include <stdbool.h>
#include <stdint.h>

enum { UUID_TEXT = 37 }; /* 36 characters and the NUL */

/* How a client named a row: by integer, or by UUID whose timestamp the row has to match. */
struct ref {
    int64_t id;
    int64_t ms; /* created_at in ms since the epoch; -1: named by integer, nothing to match */
};

/* The UUID of a row created at created_us, microseconds since the epoch. */
void id_uuid(int64_t id, int64_t created_us, char out[UUID_TEXT]);

/* Read a UUID of our making (either case), or a positive decimal integer without sign or leading
 * zeros. False when it is not one; *out is then untouched. */
bool id_parse_uuid(const char *text, struct ref *out);
bool id_parse_integer(const char *text, struct ref *out);

/* Does a row created at created_us answer to this ref? */
bool id_matches(const struct ref *ref, int64_t created_us);

#endif
