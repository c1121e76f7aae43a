/* A bump allocator: blocks of 8 kB, larger objects in a block of their own. */
#include "shared/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 8192, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(ALIGN) unsigned char bytes[];
};

void arena_init(struct arena *a)
{
    a->blocks = NULL;
}

void arena_release(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
}

static struct arena_block *block_new(size_t size)
{
    struct arena_block *b = malloc(sizeof *b + size);
    if (!b) {
        fputs("level=error event=out_of_memory\n", stderr);
        abort();
    }
    b->used = 0;
    b->size = size;
    return b;
}

static size_t rounded(size_t size)
{
    return (size + ALIGN - 1) / ALIGN * ALIGN;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *b = a->blocks;
    size = rounded(size);
    if (!b || b->size - b->used < size) {
        b = block_new(size > BLOCK ? size : BLOCK);
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = b->bytes + b->used;
    b->used += size;
    return memset(p, 0, size);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    if (!s)
        return NULL;
    char *copy = arena_alloc(a, len + 1);
    memcpy(copy, s, len);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    struct arena_block *b = a->blocks;
    char *s = b ? (char *)b->bytes + b->used : NULL;
    size_t room = b ? b->size - b->used : 0;
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    int printed = vsnprintf(s, room, format, ap); /* mostly it fits where it is to stay */
    size_t len = printed < 0 ? 0 : (size_t)printed;
    if (b && len < room) {
        s[len] = 0;
        b->used += rounded(len + 1);
    } else {
        s = arena_alloc(a, len + 1);
        if (len)
            vsnprintf(s, len + 1, format, again);
    }
    va_end(again);
    va_end(ap);
    return s;
}
