"""The verdict on a run of chaos: a good one passes, and every single thing that goes wrong is found."""

import copy

import pytest

from chaos.faults import Strike
from chaos.report import AFTERMATH, blamed, longest
from chaos.verdict import FINDINGS, Absence, Ear, Facts, Heard, Sent, Stored, Verdict

ALICE, BOB, DAVE = 1, 2, 4
DIRECT, GROUP = 10, 11


def good():
    """Alice speaks in a direct conversation and in a group, which Dave leaves after the event 104 and is in again from
    108 on; Bob listens on a socket that breaks once."""
    talks = {101: DIRECT, 102: GROUP, 103: GROUP, 105: GROUP, 106: DIRECT, 107: GROUP, 109: GROUP}
    seqs, stored, sent = {DIRECT: 0, GROUP: 5}, [], []
    for number, talk in talks.items():
        seqs[talk] += 1
        text = f"alice-{number}"
        stored.append(Stored(number, talk, seqs[talk], ALICE, text))
        sent.append(Sent(number, talk, ALICE, text, number, number + 0.5))

    def heard(*numbers, at=0):
        return [Heard(n, ALICE, f"alice-{n}", at or n + 0.6) for n in numbers]
    bob = Ear("bob", BOB, frozenset({DIRECT, GROUP}), [heard(101, 102, 103, 105), heard(105, 106, 107, 109)])
    dave = Ear("dave", DAVE, frozenset({GROUP}), [heard(102, 103), heard(105, 107, at=108.2) + heard(109)])
    histories = {(BOB, surface, talk): [(n, ALICE, f"alice-{n}") for n in talks if talks[n] == talk]
                 for surface, talk in (("dm", DIRECT), ("conv", GROUP))}
    return Facts(stored, sent, [bob, dave], histories, [Absence(DAVE, GROUP, 104, 108, 108.1)])


def test_a_good_run_passes():
    verdict = Verdict(good())
    assert verdict.passed and not verdict.sentences


def lose_a_row(f):
    del f.stored[2]


def store_twice(f):
    f.stored.append(f.stored[-1]._replace(id=110, seq=f.stored[-1].seq + 1))


def give_one_id_to_two_sends(f):
    f.sent[1] = f.sent[1]._replace(id=f.sent[2].id)


def store_what_nobody_sent(f):
    f.stored.append(Stored(110, GROUP, f.stored[-1].seq + 1, ALICE, "never sent"))


def store_another_text(f):
    f.stored[0] = f.stored[0]._replace(text="alice-105")


def store_in_another_conversation(f):
    f.stored[0] = f.stored[0]._replace(talk=GROUP)


def leave_a_gap_in_seq(f):
    f.stored[-1] = f.stored[-1]._replace(seq=99)


def never_acknowledge(f):
    f.sent[-1] = f.sent[-1]._replace(id=None)


def swap_two_sends_of_one_sender(f):
    f.sent[1], f.sent[2] = (f.sent[1]._replace(begun=103, acknowledged=103.5), f.sent[2]._replace(begun=102, acknowledged=102.5))


def skip_a_frame(f):
    del f.ears[0].connections[1][1]


def hear_twice_on_a_connection(f):
    f.ears[0].connections[0].append(f.ears[0].connections[0][-1])


def hear_in_another_order(f):
    f.ears[0].connections[0][1:3] = f.ears[0].connections[0][2:0:-1]


def hear_the_older_one_after_the_reconnect(f):
    f.ears[0].connections[1].insert(0, f.ears[0].connections[0].pop(1))


def hear_another_sender(f):
    f.ears[0].connections[0][0] = f.ears[0].connections[0][0]._replace(sender=DAVE)


def hear_what_is_not_stored(f):
    f.ears[0].connections[0].append(Heard(999, ALICE, "ghost", 999))


def hear_while_out(f):
    f.ears[1].connections[0].append(Heard(105, ALICE, "alice-105", 105.6))


def hear_strangers(f):
    f.ears[1].connections[1].append(Heard(106, ALICE, "alice-106", 106.6))


def miss_what_came_after_the_return(f):
    del f.ears[1].connections[1][-1]


def show_less(f):
    del f.histories[BOB, "conv", GROUP][0]


def show_twice(f):
    f.histories[BOB, "dm", DIRECT].append(f.histories[BOB, "dm", DIRECT][-1])


def show_another_order(f):
    f.histories[BOB, "conv", GROUP].reverse()


def answer_wrongly(f):
    f.refusals.append("500")


MUTATIONS = {
    "lost": [lose_a_row],
    "doubled": [store_twice, give_one_id_to_two_sends, hear_twice_on_a_connection, show_twice],
    "reordered": [leave_a_gap_in_seq, swap_two_sends_of_one_sender, hear_in_another_order,
                  hear_the_older_one_after_the_reconnect, show_another_order],
    "missed": [skip_a_frame, miss_what_came_after_the_return, show_less],
    "leaked": [hear_while_out, hear_strangers],
    "altered": [store_what_nobody_sent, store_another_text, store_in_another_conversation, hear_another_sender,
                hear_what_is_not_stored],
    "refused": [answer_wrongly, never_acknowledge],
}


def test_every_finding_has_a_mutation():
    assert set(MUTATIONS) == set(FINDINGS)


@pytest.mark.parametrize("finding,mutate", [(f, m) for f, ms in MUTATIONS.items() for m in ms],
                         ids=lambda v: getattr(v, "__name__", None))
def test_what_goes_wrong_is_found(finding, mutate):
    facts = copy.deepcopy(good())
    mutate(facts)
    verdict = Verdict(facts)
    assert verdict.findings[finding], verdict.sentences
    assert not verdict.passed


def test_a_wait_is_laid_to_the_fault_it_began_with_or_the_first_after_that():
    strikes = [Strike("kill", 1, ended=2), Strike("stop", 6, ended=8), Strike("cut", 7, ended=7)]
    assert blamed(strikes, 1.5, 6.5) == "kill"
    assert blamed(strikes, 2 + AFTERMATH / 2, 9) == "kill"
    assert blamed(strikes, 4.5, 9) == "stop"
    assert blamed(strikes, 7.5, 8) == "cut"
    assert blamed(strikes, 0, 0.5) is None
    assert longest(strikes, [(1.5, 2.5), (3, 4.5), (6, 6.5)]) == {"kill": 1.5, "stop": 0.5}
