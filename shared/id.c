/* UUIDv7: 48 bits of milliseconds, version, 12 zero bits, variant, 62 bits of id. */
#include "shared/id.h"

#include <string.h>

void id_uuid(int64_t id, int64_t created_us, char out[UUID_TEXT])
{
    uint64_t ms = (uint64_t)(created_us / 1000) & 0xffffffffffffULL;
    uint64_t half[2] = {ms << 16 | 0x7000, 0x8000000000000000ULL | ((uint64_t)id & 0x3fffffffffffffffULL)};
    char *p = out;
    for (int i = 0; i < 32; i++) { /* printf would take most of a frame's time */
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *p++ = '-';
        *p++ = "0123456789abcdef"[half[i / 16] >> (60 - i % 16 * 4) & 15];
    }
    *p = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool id_parse_uuid(const char *text, struct ref *out)
{
    uint64_t half[2] = {0, 0};
    int digits = 0;
    if (strlen(text) != UUID_TEXT - 1)
        return false;
    for (int i = 0; i < UUID_TEXT - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        int d = hex_digit(text[i]);
        if (dash ? text[i] != '-' : d < 0)
            return false;
        if (dash)
            continue;
        half[digits / 16] = half[digits / 16] << 4 | (uint64_t)d;
        digits++;
    }
    /* Any UUID is well formed; one that is not ours names no row. id 0 never exists. */
    bool ours = (half[0] & 0xffff) == 0x7000 && half[1] >> 62 == 2;
    out->id = ours ? (int64_t)(half[1] & 0x3fffffffffffffffULL) : 0;
    out->ms = (int64_t)(half[0] >> 16);
    return true;
}

bool id_parse_integer(const char *text, struct ref *out)
{
    int64_t n = 0;
    if (*text < '1' || *text > '9')
        return false;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || n > (INT64_MAX - (*p - '0')) / 10)
            return false;
        n = n * 10 + (*p - '0');
    }
    out->id = n;
    out->ms = -1;
    return true;
}

bool id_matches(const struct ref *ref, int64_t created_us)
{
    return ref->ms < 0 || ref->ms == created_us / 1000;
}
