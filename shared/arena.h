/* Memory that lives as long as one request or event and is freed in one place. */
#ifndef PARLEY_ARENA_H
#define PARLEY_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *blocks;
};

/* An empty arena; takes no memory until used. */
void arena_init(struct arena *a);

/* Frees everything that was allocated from the arena; it may be used again. */
void arena_release(struct arena *a);

/* size bytes, zeroed, aligned for any object. Never NULL: out of memory ends the process, whose
 * supervisor starts a fresh one. */
void *arena_alloc(struct arena *a, size_t size);

/* A NUL-terminated copy of len bytes; NULL for NULL. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_strdup(struct arena *a, const char *s);

/* printf into the arena. */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
