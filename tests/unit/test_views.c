/* Every view, member by member: the expected JSON is written out by hand from the documents, with
 * ' for ", which json-c's tokener reads too. '@6' stands for the sixth millisecond of our day,
 * '#30.6' for the UUID of row 30 made then. The order of members counts nowhere. */
#include "shared/timefmt.h"
#include "shared/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The n-th millisecond of our day, 0x019000000000 ms after the epoch. */
#define MS(n) (1717986918400000 + (n)*1000)

static const struct user alice = {.id = 10,
                                  .username = "alice",
                                  .email = "alice@example.org",
                                  .display_name = "Alice A.",
                                  .password_hash = "never shown",
                                  .is_active = true,
                                  .created_at = MS(1),
                                  .updated_at = MS(9)};
static const struct user bob = {.id = 11,
                                .username = "bob",
                                .display_name = "Bob",
                                .email_verified = true,
                                .created_at = MS(2),
                                .updated_at = MS(2)};
static const struct credentials both_tokens = {"AAA", "RRR", 3600};
static const struct credentials one_token = {"AAA", NULL, 691200};

/* Alice to Bob, the sixth millisecond: text alone. */
static struct message direct_message(void)
{
    return (struct message){.id = 30,
                            .conversation_id = 20,
                            .seq = 1,
                            .type = "text",
                            .content = {"Grüße", strlen("Grüße")},
                            .created_at = MS(6),
                            .edited_at = TIME_NONE,
                            .conversation_created_at = MS(3),
                            .sender = alice,
                            .recipient = bob};
}

/* Bob to the team: a picture with a caption, sent under a key and edited since. */
static struct message group_message(void)
{
    return (struct message){.id = 31,
                            .conversation_id = 21,
                            .seq = 1,
                            .type = "image",
                            .content = {"look", 4},
                            .media_url = "https://example.org/a.png",
                            .client_key = "key-1",
                            .created_at = MS(7),
                            .edited_at = MS(8),
                            .is_group = true,
                            .conversation_created_at = MS(4),
                            .sender = bob};
}

static struct message media_alone(void)
{
    struct message m = direct_message();
    m.content = (struct text){NULL, 0};
    m.media_url = "https://example.org/a.png";
    return m;
}

static struct participant pair_people[] = {
    {.user = alice, .role = "member", .joined_at = MS(3)},
    {.user = bob, .role = "member", .joined_at = MS(3)},
};
static struct participant team_people[] = {
    {.user = bob, .role = "owner", .joined_at = MS(4)},
    {.user = alice, .role = "member", .joined_at = MS(5)},
};

static const struct conversation pair = {
    .id = 20, .created_at = MS(3), .updated_at = MS(6), .people = pair_people, .people_count = 2};
static const struct conversation team = {.id = 21,
                                         .is_group = true,
                                         .name = "Team",
                                         .owner_id = 11,
                                         .owner_created_at = MS(2),
                                         .created_at = MS(4),
                                         .updated_at = MS(7),
                                         .people = team_people,
                                         .people_count = 2};

static void compare(const char *path, struct json_object *shown, struct json_object *wanted);

static void compare_members(const char *path, struct json_object *shown, struct json_object *wanted)
{
    char member[256];
    json_object_object_foreach(wanted, key, value)
    {
        struct json_object *found;
        snprintf(member, sizeof member, "%s.%s", path, key);
        if (!json_object_object_get_ex(shown, key, &found))
            fail_msg("%s is missing", member);
        compare(member, found, value);
    }
    json_object_object_foreach(shown, extra, unused)
    {
        (void)unused;
        if (!json_object_object_get_ex(wanted, extra, NULL))
            fail_msg("%s.%s should not be there", path, extra);
    }
}

static void compare_items(const char *path, struct json_object *shown, struct json_object *wanted)
{
    char item[256];
    if (json_object_array_length(shown) != json_object_array_length(wanted))
        fail_msg("%s has %zu items", path, json_object_array_length(shown));
    for (size_t i = 0; i < json_object_array_length(wanted); i++) {
        snprintf(item, sizeof item, "%s[%zu]", path, i);
        compare(item, json_object_array_get_idx(shown, i), json_object_array_get_idx(wanted, i));
    }
}

/* '@n' and '#id.n', see above, are spelt out first. */
static void compare_text(const char *path, const char *shown, const char *wanted)
{
    char text[256];
    unsigned id, n;
    if (sscanf(wanted, "@%u", &n) == 1)
        snprintf(text, sizeof text, "2024-06-10T02:35:18.%03u000Z", 400 + n);
    else if (sscanf(wanted, "#%u.%u", &id, &n) == 2)
        snprintf(text, sizeof text, "01900000-%04x-7000-8000-%012x", n, id);
    else
        snprintf(text, sizeof text, "%s", wanted);
    if (strcmp(shown, text) != 0)
        fail_msg("%s is %s, not %s", path, shown, text);
}

/* Same types, same values; null is a type. */
static void compare(const char *path, struct json_object *shown, struct json_object *wanted)
{
    if (json_object_get_type(shown) != json_object_get_type(wanted))
        fail_msg("%s is %s", path, json_object_to_json_string(shown));
    if (json_object_is_type(wanted, json_type_object))
        compare_members(path, shown, wanted);
    else if (json_object_is_type(wanted, json_type_array))
        compare_items(path, shown, wanted);
    else if (json_object_is_type(wanted, json_type_string))
        compare_text(path, json_object_get_string(shown), json_object_get_string(wanted));
    else if (!json_object_equal(shown, wanted))
        fail_msg("%s is %s", path, json_object_to_json_string(shown));
}

static void assert_shows(struct json_object *take_shown, const char *text)
{
    struct json_object *wanted = json_tokener_parse(text);
    if (!wanted)
        fail_msg("not JSON: %s", text);
    compare("$", take_shown, wanted);
    json_object_put(wanted);
    json_object_put(take_shown);
}

/* ---- shared pieces ---- */

static struct json_object *number(const void *list, int i)
{
    return json_object_new_int(((const int *)list)[i]);
}

static void test_list_stands_in_its_envelope_or_bare(void **state)
{
    (void)state;
    const int numbers[] = {1, 2};
    assert_shows(view_list("numbers", 2, number, numbers), "{'numbers': [1, 2]}");
    assert_shows(view_list("numbers", 0, number, numbers), "{'numbers': []}");
    assert_shows(view_list(NULL, 2, number, numbers), "[1, 2]");
}

static void test_problem_has_the_rfc_members_and_error_and_code(void **state)
{
    (void)state;
    assert_shows(view_problem(ERR_USERNAME_TAKEN, "taken"),
                 "{'type': 'about:blank', 'title': 'Bad Request', 'status': 400,"
                 " 'detail': 'taken', 'error': 'taken', 'code': 'username_taken'}");
}

/* ---- dm ---- */

#define DM_ALICE                                                                                                       \
    "{'id': '#10.1', 'username': 'alice', 'email': 'alice@example.org',"                                               \
    " 'display_name': 'Alice A.', 'is_active': true, 'email_verified': false,"                                         \
    " 'created_at': '@1', 'updated_at': '@9'}"
#define DM_TOKENS "'access_token': 'AAA', 'refresh_token': 'RRR', 'token_type': 'bearer', 'expires_in': 3600"

static void test_dm_account(void **state)
{
    (void)state;
    assert_shows(view_dm_user(&alice), DM_ALICE);
    assert_shows(view_dm_registered(&alice, &both_tokens),
                 "{'id': '#10.1', 'username': 'alice', 'email': 'alice@example.org',"
                 " 'display_name': 'Alice A.', 'is_active': true, 'email_verified': false,"
                 " 'created_at': '@1', 'updated_at': '@9',"
                 " 'user': " DM_ALICE ", 'tokens': {" DM_TOKENS "}}");
    assert_shows(view_dm_login(&alice, &both_tokens),
                 "{" DM_TOKENS ", 'user': " DM_ALICE ", 'tokens': {" DM_TOKENS "}}");
    assert_shows(view_dm_refreshed(&both_tokens), "{" DM_TOKENS ", 'tokens': {" DM_TOKENS "}}");
}

static void test_dm_message_and_conversation(void **state)
{
    (void)state;
    struct message m = direct_message();
    assert_shows(view_dm_message(&m), "{'id': '#30.6', 'sender_id': '#10.1', 'sender_username': 'alice',"
                                      " 'recipient_id': '#11.2', 'content': 'Grüße', 'created_at': '@6'}");
    assert_shows(view_dm_conversation(&bob, &m), "{'user_id': '#11.2', 'username': 'bob', 'last_message': 'Grüße',"
                                                 " 'last_at': '@6'}");
}

/* ---- conv ---- */

#define CONV_DIRECT                                                                                                    \
    "{'id': '#30.6', 'conversation_id': '#20.3', 'sender_id': '#10.1',"                                                \
    " 'sender_username': 'alice', 'recipient_id': '#11.2', 'body': 'Grüße',"                                         \
    " 'content': 'Grüße', 'media_url': null, 'client_msg_id': null, 'created_at': '@6',"                             \
    " 'edited_at': null}"
#define CONV_BOB                                                                                                       \
    "{'id': '#11.2', 'username': 'bob', 'display_name': 'Bob', 'is_active': false,"                                    \
    " 'created_at': '@2', 'updated_at': '@2'}"
#define CONV_ALICE                                                                                                     \
    "{'id': '#10.1', 'username': 'alice', 'display_name': 'Alice A.', 'is_active': true,"                              \
    " 'created_at': '@1', 'updated_at': '@9'}"

static void test_conv_message_has_body_and_content(void **state)
{
    (void)state;
    struct message d = direct_message(), g = group_message(), media = media_alone();
    assert_shows(view_conv_message(&d), CONV_DIRECT);
    assert_shows(view_conv_message(&g), "{'id': '#31.7', 'conversation_id': '#21.4', 'sender_id': '#11.2',"
                                        " 'sender_username': 'bob', 'body': 'look', 'content': 'look',"
                                        " 'media_url': 'https://example.org/a.png', 'client_msg_id': 'key-1',"
                                        " 'created_at': '@7', 'edited_at': '@8'}");
    assert_shows(view_conv_message(&media), "{'id': '#30.6', 'conversation_id': '#20.3', 'sender_id': '#10.1',"
                                            " 'sender_username': 'alice', 'recipient_id': '#11.2', 'body': '',"
                                            " 'content': '', 'media_url': 'https://example.org/a.png',"
                                            " 'client_msg_id': null, 'created_at': '@6', 'edited_at': null}");
}

static void test_conv_conversation_of_either_type(void **state)
{
    (void)state;
    struct message m = direct_message(), deleted = {.id = 0};
    struct conversation c = pair, ownerless = team;
    c.last = &m;
    c.unread = 5000000000;
    assert_shows(view_conv_conversation(&c), "{'id': '#20.3', 'type': 'direct', 'name': null, 'owner_id': null,"
                                             " 'participants': ["
                                             "  {'user_id': '#10.1', 'username': 'alice', 'display_name': 'Alice A.',"
                                             "   'role': 'member', 'joined_at': '@3'},"
                                             "  {'user_id': '#11.2', 'username': 'bob', 'display_name': 'Bob',"
                                             "   'role': 'member', 'joined_at': '@3'}],"
                                             " 'last_message': " CONV_DIRECT ", 'unread_count': 5000000000,"
                                             " 'created_at': '@3', 'updated_at': '@6'}");
    assert_shows(view_conv_conversation(&team),
                 "{'id': '#21.4', 'type': 'group', 'name': 'Team', 'owner_id': '#11.2',"
                 " 'participants': ["
                 "  {'user_id': '#11.2', 'username': 'bob', 'display_name': 'Bob',"
                 "   'role': 'owner', 'joined_at': '@4'},"
                 "  {'user_id': '#10.1', 'username': 'alice', 'display_name': 'Alice A.',"
                 "   'role': 'member', 'joined_at': '@5'}],"
                 " 'last_message': null, 'unread_count': 0,"
                 " 'created_at': '@4', 'updated_at': '@7'}");
    ownerless.owner_id = 0;
    ownerless.people_count = 0;
    ownerless.last = &deleted;
    assert_shows(view_conv_conversation(&ownerless),
                 "{'id': '#21.4', 'type': 'group', 'name': 'Team', 'owner_id': null,"
                 " 'participants': [], 'last_message': null, 'unread_count': 0,"
                 " 'created_at': '@4', 'updated_at': '@7'}");
}

static void test_conv_people_come_without_email(void **state)
{
    (void)state;
    struct contact c = {.id = 40,
                        .other = bob,
                        .conversation_id = 20,
                        .conversation_created_at = MS(3),
                        .created_at = MS(5),
                        .updated_at = MS(6)};
    struct invitation i = {.id = 41, .from = alice, .to = bob, .created_at = MS(7), .updated_at = MS(8)};
    assert_shows(view_conv_user(&alice), CONV_ALICE);
    assert_shows(view_conv_contact(&c), "{'id': '#40.5', 'other_user': " CONV_BOB ","
                                        " 'conversation_id': '#20.3',"
                                        " 'created_at': '@5', 'updated_at': '@6'}");
    assert_shows(view_conv_invitation(&i), "{'id': '#41.7', 'from_user': " CONV_ALICE ", 'to_user': " CONV_BOB ","
                                           " 'created_at': '@7', 'updated_at': '@8'}");
}

static void test_conv_delivery_and_frame(void **state)
{
    (void)state;
    struct delivery read = {11, MS(2), "read", MS(7), MS(8)};
    struct delivery sent = {11, MS(2), "sent", TIME_NONE, TIME_NONE};
    assert_shows(view_conv_delivery(&read), "{'user_id': '#11.2', 'status': 'read', 'delivered_at': '@7',"
                                            " 'read_at': '@8'}");
    assert_shows(view_conv_delivery(&sent), "{'user_id': '#11.2', 'status': 'sent', 'delivered_at': null,"
                                            " 'read_at': null}");
    assert_shows(view_conv_frame("message", json_tokener_parse("{'a': 1}")), "{'type': 'message', 'data': {'a': 1}}");
    assert_shows(view_conv_frame("pong", NULL), "{'type': 'pong'}");
}

/* ---- p2p ---- */

#define P2P_DIRECT                                                                                                     \
    "'id': 30, 'sender_id': 10, 'recipient_id': 11, 'type': 'text', 'content': 'Grüße',"                             \
    " 'media_url': '', 'timestamp': '@6'"
#define P2P_ALICE "'id': 10, 'username': 'alice', 'display_name': 'Alice A.', 'created_at': '@1'"
#define P2P_BOB   "'id': 11, 'username': 'bob', 'display_name': 'Bob', 'created_at': '@2'"

static void test_p2p_message_names_the_person_or_the_group(void **state)
{
    (void)state;
    struct message d = direct_message(), g = group_message(), media = media_alone();
    assert_shows(view_p2p_message(&d, "PENDING"), "{" P2P_DIRECT ", 'status': 'PENDING'}");
    assert_shows(view_p2p_message(&g, "SENT"), "{'id': 31, 'sender_id': 11, 'recipient_id': 21, 'type': 'image',"
                                               " 'content': 'look', 'media_url': 'https://example.org/a.png',"
                                               " 'timestamp': '@7', 'status': 'SENT', 'group_id': 21}");
    assert_shows(view_p2p_message(&media, "SENT"),
                 "{'id': 30, 'sender_id': 10, 'recipient_id': 11, 'type': 'text', 'content': '',"
                 " 'media_url': 'https://example.org/a.png', 'timestamp': '@6',"
                 " 'status': 'SENT'}");
    assert_shows(view_p2p_sent(&d, "DELIVERED"),
                 "{'message': 'Message sent successfully', " P2P_DIRECT ", 'status': 'DELIVERED'}");
}

static void test_p2p_shows_an_email_only_to_its_owner(void **state)
{
    (void)state;
    struct message m = direct_message();
    assert_shows(view_p2p_user(&alice, false), "{" P2P_ALICE "}");
    assert_shows(view_p2p_user(&alice, true), "{" P2P_ALICE ", 'email': 'alice@example.org'}");
    assert_shows(view_p2p_user(&bob, true), "{" P2P_BOB ", 'email': null}");
    assert_shows(view_p2p_user_with_chat(&bob, false, &m),
                 "{" P2P_BOB ", 'last_message_content': 'Grüße',"
                 " 'last_message_timestamp': '@6', 'last_message_sender_id': 10}");
    assert_shows(view_p2p_user_with_chat(&alice, true, NULL),
                 "{" P2P_ALICE ", 'email': 'alice@example.org', 'last_message_content': null,"
                 " 'last_message_timestamp': null, 'last_message_sender_id': null}");
}

static void test_p2p_account(void **state)
{
    (void)state;
    assert_shows(view_p2p_registered(&alice, &one_token),
                 "{'id': 10, 'username': 'alice', 'email': 'alice@example.org',"
                 " 'created_at': '@1', 'message': 'User registered successfully',"
                 " 'token': 'AAA'}");
    assert_shows(view_p2p_login(&alice, &one_token), "{'message': 'Login successful', 'token': 'AAA',"
                                                     " 'user': {" P2P_ALICE ", 'email': 'alice@example.org'}}");
}

#define P2P_MEMBERS                                                                                                    \
    "[{" P2P_BOB ", 'user_id': 11, 'role': 'owner', 'joined_at': '@4'},"                                               \
    " {" P2P_ALICE ", 'user_id': 10, 'role': 'member', 'joined_at': '@5'}]"

static void test_p2p_group_shows_its_members_where_they_are_known(void **state)
{
    (void)state;
    struct conversation bare = team;
    bare.people = NULL;
    bare.people_count = 0;
    bare.owner_id = 0;
    assert_shows(view_p2p_group(&team), "{'id': 21, 'group_id': 21, 'name': 'Team', 'owner_id': 11, 'created_at': '@4',"
                                        " 'members': " P2P_MEMBERS "}");
    assert_shows(view_p2p_group(&bare),
                 "{'id': 21, 'group_id': 21, 'name': 'Team', 'owner_id': null, 'created_at': '@4'}");
    assert_shows(view_p2p_member(&team_people[0]), "{" P2P_BOB ", 'user_id': 11, 'role': 'owner', 'joined_at': '@4'}");
}

static void test_p2p_welcome_is_of_now(void **state)
{
    (void)state;
    int64_t before = time_now(), at, rest;
    struct json_object *o = view_p2p_welcome("alice");
    struct json_object *stamp = json_object_object_get(o, "timestamp");
    assert_true(time_parse(json_object_get_string(stamp), &at, &rest));
    assert_true(before <= at && at <= time_now());
    json_object_object_del(o, "timestamp");
    assert_shows(o, "{'type': 'system', 'sender_id': 0, 'content': 'Welcome, alice!'}");
}

/* ---- rooms ---- */

#define ROOMS_ALICE_MEMBERS                                                                                            \
    "'id': 10, 'username': 'alice', 'is_active': true,"                                                                \
    " 'created_at': '@1', 'updated_at': '@9'"
#define ROOMS_BOB_MEMBERS                                                                                              \
    "'id': 11, 'username': 'bob', 'is_active': false,"                                                                 \
    " 'created_at': '@2', 'updated_at': '@2'"
#define ROOMS_ALICE "{" ROOMS_ALICE_MEMBERS "}"
#define ROOMS_BOB   "{" ROOMS_BOB_MEMBERS "}"

static void test_rooms_account_has_exactly_the_documents_members(void **state)
{
    (void)state;
    assert_shows(view_rooms_user(&alice), ROOMS_ALICE);
    assert_shows(view_rooms_login(&one_token), "{'access_token': 'AAA', 'token_type': 'bearer'}");
}

static void test_rooms_invitation_and_contact(void **state)
{
    (void)state;
    struct invitation i = {.id = 41, .from = alice, .to = bob, .created_at = MS(7), .updated_at = MS(8)};
    struct contact c = {.id = 40, .other = bob, .created_at = MS(5), .updated_at = MS(6)};
    assert_shows(view_rooms_invitation(&i), "{'id': 41, 'from_user': " ROOMS_ALICE ", 'to_user': " ROOMS_BOB ","
                                            " 'created_at': '@7', 'updated_at': '@8'}");
    assert_shows(view_rooms_contact(&c), "{'id': 40, 'other_user': " ROOMS_BOB ","
                                         " 'created_at': '@5', 'updated_at': '@6'}");
}

static void test_rooms_direct_is_a_system_room_without_name_and_owner(void **state)
{
    (void)state;
    struct conversation left = team;
    assert_shows(view_rooms_room(&pair), "{'id': 20, 'name': null, 'owner': null, 'is_system': true, 'members': ["
                                         "  {" ROOMS_ALICE_MEMBERS ", 'role': 'member', 'joined_at': '@3'},"
                                         "  {" ROOMS_BOB_MEMBERS ", 'role': 'member', 'joined_at': '@3'}],"
                                         " 'created_at': '@3', 'updated_at': '@6'}");
    assert_shows(view_rooms_room(&team), "{'id': 21, 'name': 'Team', 'owner': " ROOMS_BOB ", 'is_system': false,"
                                         " 'members': ["
                                         "  {" ROOMS_BOB_MEMBERS ", 'role': 'owner', 'joined_at': '@4'},"
                                         "  {" ROOMS_ALICE_MEMBERS ", 'role': 'member', 'joined_at': '@5'}],"
                                         " 'created_at': '@4', 'updated_at': '@7'}");
    left.people_count = 0;
    assert_shows(view_rooms_room(&left), "{'id': 21, 'name': 'Team', 'owner': null, 'is_system': false, 'members': [],"
                                         " 'created_at': '@4', 'updated_at': '@7'}");
}

static void test_rooms_message_moves_updated_at_when_edited(void **state)
{
    (void)state;
    struct message d = direct_message(), g = group_message(), media = media_alone();
    assert_shows(view_rooms_message(&d), "{'id': 30, 'room_id': 20, 'sender': " ROOMS_ALICE ", 'content': 'Grüße',"
                                         " 'edited_at': null, 'created_at': '@6', 'updated_at': '@6'}");
    assert_shows(view_rooms_message(&g), "{'id': 31, 'room_id': 21, 'sender': " ROOMS_BOB ", 'content': 'look',"
                                         " 'media_url': 'https://example.org/a.png', 'edited_at': '@8',"
                                         " 'created_at': '@7', 'updated_at': '@8'}");
    assert_shows(view_rooms_message(&media), "{'id': 30, 'room_id': 20, 'sender': " ROOMS_ALICE ", 'content': '',"
                                             " 'media_url': 'https://example.org/a.png', 'edited_at': null,"
                                             " 'created_at': '@6', 'updated_at': '@6'}");
}

/* ---- groups ---- */

static void test_groups_account_shows_created_at_only_at_registration(void **state)
{
    (void)state;
    assert_shows(view_groups_registered(&alice, &both_tokens),
                 "{'user': {'id': '#10.1', 'username': 'alice', 'email': 'alice@example.org',"
                 " 'created_at': '@1'}, 'access_token': 'AAA', 'refresh_token': 'RRR'}");
    assert_shows(view_groups_login(&alice, &both_tokens),
                 "{'user': {'id': '#10.1', 'username': 'alice', 'email': 'alice@example.org'},"
                 " 'access_token': 'AAA', 'refresh_token': 'RRR'}");
    assert_shows(view_groups_login(&bob, &both_tokens), "{'user': {'id': '#11.2', 'username': 'bob', 'email': null},"
                                                        " 'access_token': 'AAA', 'refresh_token': 'RRR'}");
}

static void test_groups_conversation_and_group_name_people_by_id(void **state)
{
    (void)state;
    struct conversation ownerless = team;
    ownerless.owner_id = 0;
    ownerless.people_count = 1;
    assert_shows(view_groups_conversation(&pair), "{'id': '#20.3', 'participants': ['#10.1', '#11.2'],"
                                                  " 'created_at': '@3', 'updated_at': '@6'}");
    assert_shows(view_groups_group(&team), "{'id': '#21.4', 'name': 'Team', 'created_by': '#11.2',"
                                           " 'members': ['#11.2', '#10.1'], 'created_at': '@4'}");
    assert_shows(view_groups_group(&ownerless), "{'id': '#21.4', 'name': 'Team', 'created_by': null,"
                                                " 'members': ['#11.2'], 'created_at': '@4'}");
}

static void test_groups_message_has_one_place_and_its_frame_both(void **state)
{
    (void)state;
    struct message d = direct_message(), g = group_message(), media = media_alone();
    assert_shows(view_groups_message(&d), "{'id': '#30.6', 'sender_id': '#10.1',"
                                          " 'conversation_id': '#20.3', 'content': 'Grüße', 'created_at': '@6'}");
    assert_shows(view_groups_message(&g), "{'id': '#31.7', 'sender_id': '#11.2', 'group_id': '#21.4',"
                                          " 'content': 'look', 'media_url': 'https://example.org/a.png',"
                                          " 'created_at': '@7'}");
    assert_shows(view_groups_message(&media), "{'id': '#30.6', 'sender_id': '#10.1',"
                                              " 'conversation_id': '#20.3', 'content': '',"
                                              " 'media_url': 'https://example.org/a.png', 'created_at': '@6'}");
    assert_shows(view_groups_frame(&d), "{'type': 'message', 'data': {'id': '#30.6', 'sender_id': '#10.1',"
                                        " 'conversation_id': '#20.3', 'group_id': null, 'content': 'Grüße',"
                                        " 'created_at': '@6'}}");
    assert_shows(view_groups_frame(&g), "{'type': 'message', 'data': {'id': '#31.7', 'sender_id': '#11.2',"
                                        " 'conversation_id': null, 'group_id': '#21.4', 'content': 'look',"
                                        " 'media_url': 'https://example.org/a.png', 'created_at': '@7'}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_stands_in_its_envelope_or_bare),
        cmocka_unit_test(test_problem_has_the_rfc_members_and_error_and_code),
        cmocka_unit_test(test_dm_account),
        cmocka_unit_test(test_dm_message_and_conversation),
        cmocka_unit_test(test_conv_message_has_body_and_content),
        cmocka_unit_test(test_conv_conversation_of_either_type),
        cmocka_unit_test(test_conv_people_come_without_email),
        cmocka_unit_test(test_conv_delivery_and_frame),
        cmocka_unit_test(test_p2p_message_names_the_person_or_the_group),
        cmocka_unit_test(test_p2p_shows_an_email_only_to_its_owner),
        cmocka_unit_test(test_p2p_account),
        cmocka_unit_test(test_p2p_group_shows_its_members_where_they_are_known),
        cmocka_unit_test(test_p2p_welcome_is_of_now),
        cmocka_unit_test(test_rooms_account_has_exactly_the_documents_members),
        cmocka_unit_test(test_rooms_invitation_and_contact),
        cmocka_unit_test(test_rooms_direct_is_a_system_room_without_name_and_owner),
        cmocka_unit_test(test_rooms_message_moves_updated_at_when_edited),
        cmocka_unit_test(test_groups_account_shows_created_at_only_at_registration),
        cmocka_unit_test(test_groups_conversation_and_group_name_people_by_id),
        cmocka_unit_test(test_groups_message_has_one_place_and_its_frame_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
