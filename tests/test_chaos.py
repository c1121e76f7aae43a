"""A short run of `make chaos`: every kind of fault once while people talk on every surface."""

import os
import random

from chaos.faults import KINDS
from chaos.run import Run

SECONDS = 25


def test_nothing_acknowledged_is_lost_whatever_breaks():
    seed = os.environ.get("CHAOS_SEED") or str(random.randrange(10**6))
    print(f"CHAOS_SEED={seed}")             # pytest shows it with a failure
    run = Run(SECONDS, seed)
    verdict = run.go()
    assert verdict.passed, verdict.sentences[:40]
    assert {s.kind for s in run.faults.strikes} == set(KINDS)
    assert len(run.senders) >= 20 and len(run.receivers) >= 20
    assert all(any(s.id for s in sender.sent) for sender in run.senders), "somebody never got through"
    assert verdict.facts.absences, "nobody left and came back"
