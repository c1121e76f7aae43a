/* What every unit program needs: cmocka with the headers it forgets to include, text literals, and
 * the stderr of a block of code as a string. */
#ifndef PARLEY_UNIT_H
#define PARLEY_UNIT_H

#include "shared/arena.h"
#include "shared/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static inline struct text text_of(const char *s)
{
    return (struct text){s, s ? strlen(s) : 0};
}

/* n times c, NUL-terminated; the caller frees it. */
static inline char *repeat(char c, size_t n)
{
    char *s = malloc(n + 1);
    assert_non_null(s);
    memset(s, c, n);
    s[n] = 0;
    return s;
}

/* For programs whose tests share an arena: before the first, and after the last. */
static inline int arena_set_up(void **state)
{
    static struct arena arena;
    arena_init(&arena);
    *state = &arena;
    return 0;
}

static inline int arena_tear_down(void **state)
{
    arena_release(*state);
    return 0;
}

/* Between stderr_catch and stderr_release nothing may be asserted: cmocka speaks through stderr. */
struct caught {
    int saved, pipe[2];
    char text[32768];
};

static inline void stderr_catch(struct caught *c)
{
    assert_int_equal(pipe(c->pipe), 0);
    c->saved = dup(STDERR_FILENO);
    dup2(c->pipe[1], STDERR_FILENO);
    close(c->pipe[1]);
}

/* What was written meanwhile, at most a pipe's worth. */
static inline const char *stderr_release(struct caught *c)
{
    size_t len = 0;
    ssize_t n;
    dup2(c->saved, STDERR_FILENO);
    close(c->saved);
    while ((n = read(c->pipe[0], c->text + len, sizeof c->text - 1 - len)) > 0)
        len += (size_t)n;
    c->text[len] = 0;
    close(c->pipe[0]);
    return c->text;
}

#endif
