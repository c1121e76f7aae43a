#include "tests/fuzz/support/fuzz.h"

#include <string.h>

char *fuzz_bytes(const char *data, size_t size)
{
    char *copy = malloc(size + !size);
    CHECK(copy);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *copy = strndup((const char *)data, size);
    CHECK(copy);
    return copy;
}
