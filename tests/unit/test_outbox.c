/* Outboxes: in order, bounded in bytes, frames shared and freed with their last reader. */
#include "tests/unit/unit.h"
#include "ws-daemon/outbox.h"

#include <json-c/json.h>
#include <stdio.h>

enum { PLENTY = 1 << 30 };

static struct frame *numbered(int n)
{
    char text[32];
    int len = snprintf(text, sizeof text, "frame %d", n);
    return frame_new(text, (size_t)len);
}

/* Pushes a frame that only the outbox holds. */
static void push_numbered(struct outbox *o, int n)
{
    struct frame *f = numbered(n);
    assert_int_equal(outbox_push(o, f, PLENTY), OK);
    frame_unref(f);
}

static void assert_next(struct outbox *o, int n)
{
    char text[32];
    struct frame *f = outbox_take(o);
    assert_non_null(f);
    int len = snprintf(text, sizeof text, "frame %d", n);
    assert_int_equal(f->len, len);
    assert_memory_equal(frame_text(f), text, f->len);
    frame_unref(f);
}

static void test_frames_leave_in_the_order_they_came(void **state)
{
    struct outbox o = {0};
    (void)state;
    for (int i = 0; i < 1000; i++)
        push_numbered(&o, i);
    for (int i = 0; i < 1000; i++)
        assert_next(&o, i);
    assert_null(outbox_take(&o));
}

/* Every fill level and every place in the ring, growth in mid-wrap among them. */
static void test_the_ring_grows_wherever_it_begins(void **state)
{
    (void)state;
    for (int turned = 0; turned < 40; turned++) {
        struct outbox o = {0};
        int in = 0, out = 0;
        push_numbered(&o, in++);
        for (int i = 0; i < turned; i++) { /* the ring turns, never empty */
            push_numbered(&o, in++);
            assert_next(&o, out++);
        }
        while (in < turned + 100)
            push_numbered(&o, in++);
        while (out < in)
            assert_next(&o, out++);
        assert_true(outbox_is_empty(&o));
    }
}

static void test_an_empty_outbox_holds_no_memory(void **state)
{
    struct outbox o = {0};
    (void)state;
    for (int round = 0; round < 3; round++) {
        assert_true(outbox_is_empty(&o));
        for (int i = 0; i < 50; i++)
            push_numbered(&o, i);
        assert_false(outbox_is_empty(&o));
        assert_true(o.bytes > 0 && o.ring);
        for (int i = 0; i < 50; i++)
            assert_next(&o, i);
        assert_null(o.ring);
        assert_int_equal(o.size, 0);
        assert_int_equal(o.bytes, 0);
    }
}

static void test_a_full_outbox_refuses_and_keeps_what_it_has(void **state)
{
    enum { MOST = 10000 };
    struct outbox o = {0};
    char text[1000];
    int held = 0;
    (void)state;
    memset(text, 'x', sizeof text);
    struct frame *f = frame_new(text, sizeof text);
    while (outbox_push(&o, f, MOST) == OK)
        held++;
    assert_true(held >= 8 && held < 10); /* what a frame costs beside its text counts too */
    assert_true(o.bytes <= MOST);
    size_t bytes = o.bytes;
    assert_int_equal(f->refs, held + 1);
    assert_int_equal(outbox_push(&o, f, MOST), ERR_TOO_SLOW);
    assert_int_equal(f->refs, held + 1);
    assert_int_equal(o.bytes, bytes);
    frame_unref(outbox_take(&o)); /* one out, one in */
    assert_int_equal(outbox_push(&o, f, MOST), OK);
    assert_int_equal(o.bytes, bytes);
    outbox_release(&o);
    assert_int_equal(f->refs, 1);
    frame_unref(f);
}

static void test_empty_frames_count_too(void **state)
{
    struct outbox o = {0};
    struct frame *f = frame_new("", 0);
    int held = 0;
    (void)state;
    while (outbox_push(&o, f, 10000) == OK)
        assert_true(++held < 10000);
    outbox_release(&o);
    frame_unref(f);
}

static void test_a_frame_larger_than_the_bound_never_fits(void **state)
{
    struct outbox o = {0};
    char text[1000] = "";
    struct frame *f = frame_new(text, sizeof text);
    (void)state;
    assert_int_equal(outbox_push(&o, f, 1000), ERR_TOO_SLOW);
    assert_true(outbox_is_empty(&o));
    assert_null(o.ring);
    frame_unref(f);
}

static void test_outboxes_share_one_frame(void **state)
{
    enum { SOCKETS = 100 };
    struct outbox boxes[SOCKETS] = {0};
    struct frame *f = numbered(7);
    (void)state;
    for (int i = 0; i < SOCKETS; i++)
        assert_int_equal(outbox_push(&boxes[i], f, PLENTY), OK);
    assert_int_equal(f->refs, SOCKETS + 1);
    for (int i = 0; i < SOCKETS; i += 2) {
        struct frame *taken = outbox_take(&boxes[i]);
        assert_ptr_equal(taken, f);
        frame_unref(taken);
    }
    assert_int_equal(f->refs, SOCKETS / 2 + 1);
    for (int i = 0; i < SOCKETS; i++)
        outbox_release(&boxes[i]);
    assert_int_equal(f->refs, 1);
    frame_unref(f);
}

static void test_a_taken_frame_outlives_its_outbox(void **state)
{
    struct outbox o = {0};
    (void)state;
    push_numbered(&o, 1);
    push_numbered(&o, 2);
    struct frame *f = outbox_take(&o);
    outbox_release(&o);
    outbox_release(&o); /* twice is fine */
    assert_memory_equal(frame_text(f), "frame 1", 7);
    frame_unref(f);
    frame_unref(NULL);
}

static void test_json_is_rendered_once_and_plainly(void **state)
{
    struct json_object *o = json_object_new_object();
    (void)state;
    json_object_object_add(o, "url", json_object_new_string("http://x/\xc3\xa9"));
    json_object_object_add(o, "n", json_object_new_int(1));
    struct frame *f = frame_json(o);
    static const char expected[] = "{\"url\":\"http://x/\xc3\xa9\",\"n\":1}";
    assert_int_equal(f->len, sizeof expected - 1);
    assert_memory_equal(frame_text(f), expected, f->len);
    frame_unref(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_leave_in_the_order_they_came),
        cmocka_unit_test(test_the_ring_grows_wherever_it_begins),
        cmocka_unit_test(test_an_empty_outbox_holds_no_memory),
        cmocka_unit_test(test_a_full_outbox_refuses_and_keeps_what_it_has),
        cmocka_unit_test(test_empty_frames_count_too),
        cmocka_unit_test(test_a_frame_larger_than_the_bound_never_fits),
        cmocka_unit_test(test_outboxes_share_one_frame),
        cmocka_unit_test(test_a_taken_frame_outlives_its_outbox),
        cmocka_unit_test(test_json_is_rendered_once_and_plainly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
