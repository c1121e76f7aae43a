/* What a fuzz target is: one function that takes any bytes, as libFuzzer calls it. The same targets are
 * replayed over tests/fuzz/corpus/ by `make test`, without libFuzzer (replay.c). */
#ifndef PARLEY_FUZZ_H
#define PARLEY_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An answer that no input may bring about. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A copy in memory of exactly its size, so that ASan sees who reads on: text has a NUL behind it (one
 * inside ends it early), bytes have nothing. The caller frees it. */
char *fuzz_text(const uint8_t *data, size_t size);
char *fuzz_bytes(const char *data, size_t size);

#endif
