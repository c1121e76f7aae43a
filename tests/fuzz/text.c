/* Short texts: times, ids, cursors, places in the events, and what people type into fields. */
#include "shared/history_store.h"
#include "shared/id.h"
#include "shared/position.h"
#include "shared/timefmt.h"
#include "shared/validate.h"
#include "tests/fuzz/support/fuzz.h"

#include <string.h>
#include <strings.h>

/* A time that was taken is written in our form, which is taken for the same moment. */
static void check_time(const char *text)
{
    int64_t us = 77, rest = 78, again, none;
    char written[TIME_TEXT];
    if (!time_parse(text, &us, &rest)) {
        CHECK(us == 77 && rest == 78);
        return;
    }
    CHECK(rest >= -1 && rest <= 999999999999999999);
    CHECK(us >= -62167219200LL * 1000000 - 86400000000 && us < 253402300800LL * 1000000 + 86400000000);
    if (us < -62135596800LL * 1000000 || us >= 253402300800LL * 1000000)
        return; /* an offset led out of the years 1 to 9999 */
    time_format(us, written);
    if (us >= -30610224000LL * 1000000) { /* from the year 1000 on strftime writes four digits */
        CHECK(time_parse(written, &again, &none));
        CHECK(again == us && none == -1);
    }
}

/* An id that was taken is written again, and reads as it came (but for upper case). */
static void check_id(const char *text)
{
    struct ref integer = {77, 78}, uuid = {77, 78};
    char written[64];
    if (id_parse_integer(text, &integer)) {
        CHECK(integer.id > 0 && integer.ms == -1);
        snprintf(written, sizeof written, "%lld", (long long)integer.id);
        CHECK(!strcmp(written, text));
    } else {
        CHECK(integer.id == 77 && integer.ms == 78);
    }
    if (!id_parse_uuid(text, &uuid)) {
        CHECK(uuid.id == 77 && uuid.ms == 78);
        return;
    }
    CHECK(strlen(text) == UUID_TEXT - 1 && uuid.ms >= 0 && uuid.id >= 0);
    if (uuid.id) {
        id_uuid(uuid.id, uuid.ms * 1000, written);
        CHECK(!strcasecmp(written, text));
    }
}

/* A cursor of ours names the place it was made for. */
static void check_cursor(const char *text)
{
    struct page page = {0}, again = {0};
    char written[CURSOR_TEXT];
    if (cursor_parse(text, &page) == OK) {
        struct message m = {.seq = page.at};
        CHECK(page.at > 0);
        cursor_format(&m, page.place == PLACE_BEFORE_SEQ, written);
        CHECK(!strcmp(written, text));
    }
    if (cursor_parse_time(text, &page) == OK && page.rest > 0 && page.at >= 0 && page.at < 253402300800LL * 1000000) {
        struct message m = {.created_at = page.at, .seq = page.rest};
        cursor_format_time(&m, written);
        CHECK(cursor_parse_time(written, &again) == OK);
        CHECK(again.at == page.at && again.rest == page.rest && again.place == PLACE_BEFORE_TIME);
    }
}

/* A place in the events that was taken is written as it came, and its snapshots are ones PostgreSQL takes. */
static void check_position(const char *text)
{
    struct arena a;
    struct position p = {"kept", NULL, 7};
    arena_init(&a);
    if (position_parse(&a, text, &p)) {
        CHECK(strlen(text) <= POSITION_MOST && !strcmp(position_text(&a, &p), text));
        CHECK(!p.upto == !p.after && p.after >= 0);
        CHECK(strtoll(p.seen, NULL, 10) <= strtoll(snapshot_xmax(&a, p.seen), NULL, 10));
        CHECK(*snapshot_xip(&a, p.seen) == '{');
    } else {
        CHECK(!strcmp(p.seen, "kept") && p.after == 7);
    }
    arena_release(&a);
}

/* No rule looks behind its text. Their answers are test_validate's. */
static void check_rules(const char *text)
{
    struct text t = {text, strlen(text)};
    int refused = 0;
    if (!utf8_valid(t.s, t.len))
        return;
    refused += validate_username(t) != OK;
    refused += validate_username_alphanumeric(t) != OK;
    refused += validate_email(t) != OK;
    refused += validate_display_name(t) != OK;
    refused += validate_password(t) != OK;
    refused += validate_client_key(t) != OK;
    refused += validate_message(t, t, 100) != OK;
    CHECK(refused > 0); /* a URL is no user's name */
    CHECK(utf8_length(t.s, t.len) <= t.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    check_time(text);
    check_id(text);
    check_cursor(text);
    check_position(text);
    check_rules(text);
    free(text);
    return 0;
}
