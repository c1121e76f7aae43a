"""`p2p` (002) over REST: who is there, and groups."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.check import assert_problem
from parley.p2p import MESSAGE, PICTURE, assert_message, jerry, p2p_account, spike, tom  # noqa: F401

NOBODY = 987654321098
LAST = ("last_message_content", "last_message_timestamp", "last_message_sender_id")


# ---------------------------------------------------------------------- people

def everybody(user, path="/users", **query):
    """All users by paging."""
    found = user.ask("GET", path, 200, params=query)
    while page := user.ask("GET", path, 200, params={**query, "after_id": found[-1]["id"]}):
        found += page
    return found


def test_users_are_an_array_with_the_caller_first_then_by_id(tom, jerry, spike):
    users = tom.users().json()
    ids = [u["id"] for u in users]
    assert ids[0] == tom.id and ids[1:] == sorted(ids[1:]) and len(set(ids)) == len(ids)
    assert {jerry.id, spike.id} <= set(everybody_ids(tom))


def everybody_ids(user):
    return [u["id"] for u in everybody(user)]


def test_email_is_shown_to_its_owner_only(tom, jerry):
    for path in ("/users", "/users/with-chat-info"):
        users = tom.ask("GET", path, 200)
        assert users[0]["email"] == tom.user["email"]
        assert not [u for u in users[1:] if "email" in u]
    assert tom.ask("GET", f"/users/{tom.id}", 200)["email"] == tom.user["email"]
    assert "email" not in tom.ask("GET", f"/users/{jerry.id}", 200)


def test_users_are_paged_by_after_id_without_the_caller_again(tom, jerry, spike):
    whole = [u["id"] for u in everybody(tom, limit=1000)]
    small = [u["id"] for u in everybody(tom, limit=2)]
    assert small == whole
    assert len(tom.users(limit=2).json()) == 3, "the caller, then two others"
    assert jerry.id not in [u["id"] for u in tom.users(after_id=jerry.id).json()]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": "x"}, {"after_id": -1}, {"after_id": "x"}], ids=str)
def test_bad_parameter_of_users_is_refused(tom, query):
    for path in ("/users", "/users/with-chat-info"):
        assert_problem(tom.ask("GET", path, params=query), 400, "invalid_parameter", names=next(iter(query)))


def test_user_by_id(tom, jerry):
    user = tom.ask("GET", f"/users/{jerry.id}", 200)
    assert set(user) == {"id", "username", "display_name", "created_at"}
    assert (user["id"], user["username"], user["created_at"]) == (jerry.id, jerry.name, jerry.user["created_at"])
    assert_problem(tom.ask("GET", f"/users/{NOBODY}"), 404, "user_not_found")
    assert_problem(tom.ask("GET", "/users/jerry"), 404)


def test_users_with_chat_info_have_the_last_message_of_each(tom, jerry, spike):
    info = lambda user, other: next(u for u in everybody(user, "/users/with-chat-info") if u["id"] == other.id)
    assert [info(tom, jerry)[k] for k in LAST] == [None] * 3
    tom.say(jerry, "first")
    last = jerry.say(tom, "last")
    expected = ["last", last["timestamp"], jerry.id]
    assert [info(tom, jerry)[k] for k in LAST] == [info(jerry, tom)[k] for k in LAST] == expected
    assert [info(spike, jerry)[k] for k in LAST] == [None] * 3
    tom.send_to_group(tom.group(jerry), "elsewhere")
    assert [info(tom, jerry)[k] for k in LAST] == expected, "a group is not between the two"


def test_disabled_user_is_not_listed(tom, stack):
    gone = p2p_account(stack)
    stack.disable(gone.name)
    assert gone.id not in everybody_ids(tom)


# ---------------------------------------------------------------------- groups

def test_group_is_made_with_the_caller_as_owner(tom):
    resp = tom.create(name="Climbing")
    assert resp.status_code == 201
    group = resp.json()
    assert (group["name"], group["owner_id"]) == ("Climbing", tom.id)
    assert type(group["group_id"]) is int and group["id"] == group["group_id"] and group["message"]
    assert tom.members(group) == [tom.id]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "  "}, {"name": "x" * 101}, {"name": 5}, {"name": None}], ids=str)
def test_group_needs_a_name(tom, body):
    assert_problem(tom.create(**body), 400, ("missing_field", "invalid_field"), names="name")


def test_groups_are_ones_own_as_an_array_latest_first(tom, jerry):
    one, two = tom.group(jerry, name="one"), tom.group(name="two")
    tom.send_to_group(one, "moves it to the front")
    groups = tom.ask("GET", "/groups", 200)
    assert [g["group_id"] for g in groups] == [one["group_id"], two["group_id"]]
    assert all({"id", "group_id", "name", "owner_id", "created_at"} <= set(g) for g in groups)
    assert [g["name"] for g in jerry.ask("GET", "/groups", 200)] == ["one"]


def test_direct_conversation_is_no_group(tom, jerry, stack):
    tom.say(jerry, "x")
    direct = stack.query("SELECT id FROM conversations WHERE kind = 'direct' AND user_low = %s AND user_high = %s",
                         *sorted((tom.id, jerry.id)))[0][0]
    assert tom.ask("GET", "/groups", 200) == []
    for resp in (tom.group_history(direct), tom.send_to_group(direct, "x"), tom.add(direct, tom),
                 tom.ask("GET", f"/groups/{direct}/members"), tom.send(direct, "x")):
        assert_problem(resp, 404)
    assert tom.texts(jerry) == ["x"]


def test_owner_adds_members_who_are_shown_in_the_order_they_came(tom, jerry, spike):
    group = tom.group()
    for who in (spike, jerry):
        resp = tom.add(group, who)
        assert resp.status_code == 200 and resp.json()["group_id"] == group["id"] and resp.json()["message"]
    members = tom.ask("GET", f"/groups/{group['id']}/members", 200)
    assert [(m["user_id"], m["username"], m["role"]) for m in members] == \
        [(tom.id, tom.name, "owner"), (spike.id, spike.name, "member"), (jerry.id, jerry.name, "member")]
    assert not [m for m in members if "email" in m]


def test_adding_a_present_member_changes_nothing(tom, jerry):
    group = tom.group(jerry)
    before = tom.ask("GET", f"/groups/{group['id']}/members", 200)
    assert tom.add(group, jerry).status_code == 200
    assert tom.ask("GET", f"/groups/{group['id']}/members", 200) == before


def test_one_of_many_concurrent_additions_counts(tom, jerry):
    group = tom.group()
    with ThreadPoolExecutor(8) as pool:
        assert {r.status_code for r in pool.map(lambda _: tom.add(group, jerry), range(8))} == {200}
    assert tom.members(group) == [tom.id, jerry.id]


def test_only_the_owner_adds(tom, jerry, spike):
    group = tom.group(jerry)
    for who in (jerry, spike):
        assert_problem(who.add(group, spike), 403, "forbidden")
    assert tom.members(group) == [tom.id, jerry.id]


@pytest.mark.parametrize("value, status", [(NOBODY, 404), ("x", 400), (None, 400), (0, 400), (1.5, 400), ([1], 400)], ids=str)
def test_who_is_added_has_to_be_a_user(tom, value, status):
    assert_problem(tom.ask("POST", f"/groups/{tom.group()['id']}/members", json={"user_id": value}), status)


def test_outsiders_are_refused_and_unknown_groups_not_found(tom, spike):
    group = tom.group()
    for number, status in ((group["id"], 403), (NOBODY, 404)):
        for resp in (spike.ask("GET", f"/groups/{number}/members"), spike.add(number, spike),
                     spike.send_to_group(number, "x"), spike.group_history(number), spike.send(number, "x"),
                     spike.history(number)):
            assert_problem(resp, status)
    assert tom.page(group) == []


def test_group_message_reaches_every_members_history(tom, jerry, spike):
    group = tom.group(jerry, spike)
    resp = jerry.send_to_group(group, "Hello!", media_url=PICTURE, type="image")
    assert resp.status_code == 201
    sent = resp.json()
    assert set(sent) == MESSAGE | {"message", "group_id"}
    del sent["message"]
    assert_message(sent, group=True)
    assert sent["recipient_id"] == sent["group_id"] == group["id"]
    for who in (tom, jerry, spike):
        assert who.page(group) == who.group_history(group).json()["messages"] == [sent]


def test_recipient_may_name_a_group(tom, jerry):
    group = tom.group(jerry)
    assert tom.say(group, "to all")["group_id"] == group["id"]
    assert jerry.texts(group) == ["to all"]


def test_group_history_is_paged_like_any_other(tom, jerry):
    group = tom.group(jerry)
    ids = [tom.say(group, f"{n}")["id"] for n in range(7)]
    page = lambda **q: [m["id"] for m in jerry.group_history(group, **q).json()["messages"]]
    assert page(limit=3) == ids[4:] and page(limit=3, before_id=ids[4]) == ids[1:4] and page(before_id=ids[1]) == ids[:1]
    assert_problem(jerry.group_history(group, before_id="x"), 400, "invalid_parameter", names="before_id")


def test_the_same_key_stores_once_in_a_group_and_conflicts_elsewhere(tom, jerry):
    group = tom.group(jerry)
    first = tom.send_to_group(group, "once", key="k").json()
    again = tom.send(group, "once", key="k")
    assert again.headers["Idempotency-Replayed"] == "true" and again.json() == first
    assert_problem(tom.send(jerry, "once", key="k"), 409, "idempotency_conflict")
