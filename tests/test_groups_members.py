"""`groups` (004) over REST: groups and who is in them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.check import assert_id, assert_problem, with_timestamp
from parley.groups import ann, ben, cid, groups_socket  # noqa: F401

NOBODY = "0193e000-0000-7000-bfff-ffffffffffff"


def test_group_is_made_with_its_creator_as_the_member(ann):
    resp = ann.create(name="Team Chat")
    assert resp.status_code == 201 and set(resp.json()) == {"group"}
    group = resp.json()["group"]
    assert set(group) == {"id", "name", "created_by", "members", "created_at"}
    assert (group["name"], group["created_by"], group["members"]) == ("Team Chat", ann.id, [ann.id])
    assert_id(group["id"], group["created_at"])


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": " "}, {"name": "x" * 101}, {"name": 5}, {"name": None}], ids=str)
def test_group_needs_a_name(ann, body):
    assert_problem(ann.create(**body), 400, ("missing_field", "invalid_field"), names="name")


def test_groups_are_listed_latest_first_without_conversations(ann, ben):
    one, two = ann.group(ben, name="one"), ann.group(name="two")
    ann.direct(ben)
    ann.say(one, "to the front")
    assert [g["name"] for g in ann.groups()] == ["one", "two"]
    assert ben.groups() == [{**one, "members": [ann.id, ben.id]}]
    assert ann.groups()[1] == two


def test_group_by_id(ann, ben):
    group = ann.group(ben)
    for who in (ann, ben):
        assert who.get(group).json() == {"group": {**group, "members": [ann.id, ben.id]}}


def test_member_is_added_by_the_creator(ann, ben, cid):
    group = ann.group()
    for who in (cid, ben):
        resp = ann.add(group, who)
        assert resp.status_code == 200 and resp.json() == {"message": "Member added successfully"}
    assert ann.members(group) == [ann.id, cid.id, ben.id]
    assert [g["id"] for g in ben.groups()] == [group["id"]]


def test_adding_a_present_member_answers_200_and_changes_nothing(ann, ben):
    group = ann.group(ben)
    before = ann.get(group).json()
    for who in (ben, ann):
        resp = ann.add(group, who)
        assert resp.status_code == 200 and resp.json() == {"message": "Member added successfully"}
    assert ann.get(group).json() == before


def test_one_of_many_concurrent_additions_counts(ann, ben):
    group = ann.group()
    with ThreadPoolExecutor(8) as pool:
        assert {r.status_code for r in pool.map(lambda _: ann.add(group, ben), range(8))} == {200}
    assert ann.members(group) == [ann.id, ben.id]


def test_only_the_creator_adds(ann, ben, cid):
    group = ann.group(ben)
    for who in (ben, cid):
        assert_problem(who.add(group, cid), 403, "forbidden")
    assert ann.members(group) == [ann.id, ben.id]


@pytest.mark.parametrize("value, status", [(NOBODY, 404), ("nonsense", 400), (5, 400), (None, 400), ({}, 400)], ids=str)
def test_who_is_added_has_to_be_a_user(ann, value, status):
    group = ann.group()
    assert_problem(ann.ask("POST", f"/groups/{group['id']}/members", json={"user_id": value}), status)
    assert ann.members(group) == [ann.id]


def test_creator_removes_others(ann, ben, cid):
    group = ann.group(ben, cid)
    resp = ann.remove(group, ben)
    assert resp.status_code == 200 and resp.json() == {"message": "Member removed successfully"}
    assert ann.members(group) == [ann.id, cid.id]
    assert ben.groups() == []
    for resp in (ben.get(group), ben.history(group), ben.send(group, "x")):
        assert_problem(resp, 403, "forbidden")


def test_anyone_may_remove_themself(ann, ben):
    group = ann.group(ben)
    assert ben.remove(group, ben).json() == {"message": "Member removed successfully"}
    assert ann.members(group) == [ann.id]
    assert_problem(ben.remove(group, ben), 403, "forbidden")


def test_creator_who_leaves_hands_the_group_to_the_oldest_member(ann, ben, cid):
    group = ann.group(cid, ben)
    ann.say(group, "good-bye")
    assert ann.remove(group, ann).status_code == 200
    assert ann.groups() == []
    assert cid.get(group).json()["group"] == {**group, "created_by": cid.id, "members": [cid.id, ben.id]}
    assert ben.texts(group) == ["good-bye"]
    assert_problem(ann.add(group, ann), 403, "forbidden")
    assert cid.add(group, ann).status_code == 200


def test_last_one_to_leave_takes_the_group_along(ann):
    group = ann.group()
    assert ann.remove(group, ann).status_code == 200
    assert_problem(ann.get(group), 404, "conversation_not_found")


def test_creator_and_members_leaving_at_once_leave_no_group_without_an_owner(ann, ben, cid, stack):
    for _ in range(4):
        group = ann.group(ben, cid)
        with ThreadPoolExecutor(3) as pool:
            left = [pool.submit(u.remove, group, u) for u in (ann, ben)]
            assert {f.result().status_code for f in left} == {200}
        assert cid.get(group).json()["group"] == {**group, "created_by": cid.id, "members": [cid.id]}


def test_members_remove_nobody_else(ann, ben, cid):
    group = ann.group(ben, cid)
    for victim in (ann, cid):
        assert_problem(ben.remove(group, victim), 403, "forbidden")
    assert ann.members(group) == [ann.id, ben.id, cid.id]


def test_removing_who_is_no_member_is_not_found(ann, ben):
    group = ann.group()
    for who in (ben, NOBODY, "nonsense", with_timestamp(ann.id, 5)):
        assert_problem(ann.remove(group, who), 404)
    assert ann.members(group) == [ann.id]


def test_outsider_is_refused_everything_and_what_is_not_there_is_not_found(ann, ben, cid):
    group = ann.group(ben)
    for place, status in ((group, 403), ({**group, "id": NOBODY}, 404), ({**group, "id": "5"}, 404),
                          ({**group, "id": with_timestamp(group["id"], 5)}, 404)):
        for resp in (cid.get(place), cid.add(place, cid), cid.remove(place, ben), cid.remove(place, cid),
                     cid.history(place), cid.send(place, "x")):
            assert_problem(resp, status, ("forbidden",) if status == 403 else ("conversation_not_found", "not_found"))
    assert ann.members(group) == [ann.id, ben.id]


def test_new_member_sees_what_was_said_before(ann, ben):
    group = ann.group()
    ann.say(group, "before")
    ann.add(group, ben)
    assert ben.texts(group) == ["before"]


def test_removed_member_stops_receiving_at_once(ann, ben):
    group = ann.group(ben)
    with groups_socket(ben) as sock:
        ann.say(group, "first")
        assert sock.message()["content"] == "first"
        ann.remove(group, ben)
        ann.say(group, "second")
        sock.expect_nothing()
        sock.say(group, "third")
        assert sock.refused() == "forbidden"
        ann.add(group, ben)
        ann.say(group, "fourth")
        assert sock.message()["content"] == "fourth"
    assert ann.texts(group) == ["fourth", "second", "first"]
