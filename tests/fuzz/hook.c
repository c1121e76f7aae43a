/* What programs send to an incoming webhook (shared/hook_input.c): the first byte says what the body calls
 * itself, and how long a message may be. */
#include "shared/hook_input.h"
#include "shared/validate.h"
#include "tests/fuzz/support/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in;
    struct arena a;
    const char *out = NULL;
    if (!size)
        return 0;
    arena_init(&a);
    input_empty(&in);
    size_t max = data[0] & 4 ? 40 : 16384;
    struct text body = {arena_strndup(&a, (const char *)data + 1, size - 1), size - 1};
    enum error e = hook_text(&in, &a, (enum hook_form)(data[0] % 3), body, data[0] & 8 ? "issues" : NULL, max, &out);
    CHECK(e == OK || e == ERR_BAD_JSON || e == ERR_INVALID_BODY || e == ERR_INVALID_FIELD || e == ERR_NO_TEXT);
    if (e == OK)
        CHECK(*out && strlen(out) <= max && utf8_valid(out, strlen(out)));
    input_release(&in);
    arena_release(&a);
    return 0;
}
