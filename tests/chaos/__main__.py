"""`make chaos`, started in tests/: CHAOS_S seconds of faults, from the seed CHAOS_SEED."""

import os
import random
import signal
import sys

from .run import Run


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seconds = float(os.environ.get("CHAOS_S") or 120)
    seed = os.environ.get("CHAOS_SEED") or str(random.randrange(10**6))
    print(f"chaos: {seconds:g} s of faults; to repeat them: CHAOS_SEED={seed} make chaos", flush=True)
    run = Run(seconds, seed, out=lambda line: print(line, flush=True))
    verdict = run.go()
    print("chaos: passed" if verdict.passed else f"chaos: FAILED; what was left is in {run.stack.var}")
    return 0 if verdict.passed else 1


if __name__ == "__main__":
    sys.exit(main())
