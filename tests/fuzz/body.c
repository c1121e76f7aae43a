/* Request bodies and frames as bytes: JSON (shared/input.c), forms, percent-encoding. */
#include "shared/input.h"
#include "shared/validate.h"
#include "tests/fuzz/support/fuzz.h"

#include <json-c/json.h>
#include <string.h>

/* An object that was taken is written and taken again, and is then the same. */
static void check_json(const char *bytes, size_t len)
{
    struct input in, again;
    size_t written;
    enum error e = input_parse(&in, bytes, len);
    CHECK(e == OK || e == ERR_BAD_JSON || e == ERR_INVALID_BODY);
    CHECK((in.root != NULL) == (e == OK));
    if (e != OK) {
        input_release(&in);
        return;
    }
    CHECK(json_object_is_type(in.root, json_type_object));
    CHECK(utf8_valid(bytes, len) && !memchr(bytes, 0, len));
    const char *text = json_object_to_json_string_length(in.root, JSON_C_TO_STRING_PLAIN, &written);
    if (!strstr(text, "Infinity")) { /* 1e999, which json-c cannot write */
        CHECK(input_parse(&again, text, written) == OK);
        CHECK(json_object_equal(in.root, again.root));
        input_release(&again);
    }
    input_release(&in);
}

/* What handlers ask of an object. */
static void check_members(const char *bytes, size_t len)
{
    struct input in;
    struct text text, list[4];
    struct ref ref = {0}, refs[4];
    bool present;
    int count = 0;
    if (input_parse(&in, bytes, len) != OK)
        return;
    if (input_text(&in, "a", &text) == OK)
        CHECK(text.s && strlen(text.s) == text.len);
    for (int integers = 0; integers < 2; integers++) {
        if (input_ref(&in, "a", integers, &ref) == OK)
            CHECK(ref.id > 0 || (!integers && !ref.id));
        if (input_refs(&in, "b", integers, refs, 4, &count) == OK)
            CHECK(count >= 0 && count <= 4);
        enum error e = input_ref_optional(&in, "b", integers, &ref, &present);
        CHECK(e == OK || present);
    }
    if (input_texts(&in, "b", list, 4, &count) == OK)
        for (int i = 0; i < count; i++)
            CHECK(strlen(list[i].s) == list[i].len);
    input_release(&in);
}

static void check_form(const char *bytes, size_t len)
{
    struct input in;
    enum error e = input_parse_form(&in, bytes, len);
    CHECK(e == OK || e == ERR_INVALID_BODY);
    CHECK(in.root);
    if (e == OK) {
        json_object_object_foreach(in.root, name, value)
        {
            const char *s = json_object_get_string(value);
            CHECK(*name && utf8_valid(name, strlen(name)));
            CHECK(utf8_valid(s, (size_t)json_object_get_string_len(value)));
        }
    }
    input_release(&in);
    char *out = malloc(len + 1);
    size_t out_len = len;
    CHECK(out);
    if (url_decode(bytes, len, true, out, &out_len))
        CHECK(out_len <= len && !out[out_len]);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_json((const char *)data, size);
    check_members((const char *)data, size);
    check_form((const char *)data, size);
    return 0;
}
