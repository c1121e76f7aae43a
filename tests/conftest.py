"""Fixtures: one ordinary stack per worker, accounts on it, and whole stacks for those who break them."""

import os
import shutil
import signal
import sys
from contextlib import ExitStack, contextmanager

import pytest

sys.path.insert(0, os.path.dirname(__file__))
pytest.register_assert_rewrite("parley")

from parley.api import account  # noqa: E402
from parley.cluster import TEMPLATE, Cluster, state_directory  # noqa: E402
from parley.kept import Kept  # noqa: E402
from parley.sockets import dm_socket  # noqa: E402
from parley.stack import Stack  # noqa: E402

#: Files that take longest, half a minute and more, in that order: the workers begin with them.
FIRST = ("test_presence_faults", "test_reference.py", "test_run", "test_backup", "test_doctor", "test_parleyctl_data",
         "test_daemon_regressions", "test_callbacks", "test_courier", "test_conv_events", "test_mail", "test_backpressure",
         "test_presence", "test_years_database", "test_years_disk", "test_parleyctl", "test_hostile_rest", "test_drain",
         "test_metrics", "test_chaos", "test_retention",
         "test_scale", "test_faults", "test_hostile_sockets", "test_outsiders")


def pytest_configure(config):
    """A run that is told to end (timeout, CI) ends as by Ctrl-C: fixtures still stop their stacks."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if TEMPLATE not in os.environ:          # xdist's workers have it from the one that started them
        os.environ[TEMPLATE] = str(state_directory())
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(TEMPLATE)))


def pytest_xdist_make_scheduler(config, log):
    """A file's tests stay on one worker, whatever --dist says: they share a stack."""
    from xdist.scheduler import LoadFileScheduling
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(items):
    def place(item):
        return next((n for n, name in enumerate(FIRST) if item.path.name.startswith(name)), len(FIRST))
    items.sort(key=place)


@contextmanager
def running(request, **options):
    """A stack for a fixture; its state directory stays when a test has failed."""
    failed_before = request.session.testsfailed
    with Stack(**options) as stack:
        yield stack
        stack.keep = request.session.testsfailed > failed_before


@pytest.fixture(scope="session")
def stack(request):
    """The stack ordinary tests share: nobody stops, kills or floods it."""
    with running(request) as one:
        yield one


@pytest.fixture(scope="module")
def module_stack(request):
    """A stack of the module's own, with the options in its STACK dictionary."""
    with running(request, **request.module.STACK) as one:
        yield one


@pytest.fixture
def new_user(request, stack):
    """A function that makes a signed-in account with a name nobody else has: dm's, or by the module's ACCOUNT."""
    make = getattr(request.module, "ACCOUNT", account)
    return lambda name=None, **more: make(stack, name, **more)


@pytest.fixture
def alice(new_user):
    return new_user()


@pytest.fixture
def bob(new_user):
    return new_user()


@pytest.fixture
def carol(new_user):
    return new_user()


@pytest.fixture
def group(alice, bob):
    """A group of alice's with bob in it."""
    return alice.group(bob)


@pytest.fixture
def connect(request):
    """A function that opens a connection which ends with the test: dm's, or by the module's SOCKET."""
    opens = getattr(request.module, "SOCKET", dm_socket)
    with ExitStack() as sockets:
        yield lambda user, **options: sockets.enter_context(opens(user, **options))


@pytest.fixture(scope="module")
def kept(stack):
    """What the database keeps of people; see there."""
    one = Kept(stack)
    yield one
    one.close()


@pytest.fixture
def nothing_kept(kept):
    """What a test does from here on leaves no trace. Comes last among a test's fixtures."""
    with kept.unchanged():
        yield


@pytest.fixture(scope="module")
def cluster():
    """A PostgreSQL of the tests' own, with an empty database `parley`."""
    own = Cluster().create()
    own.execute("CREATE DATABASE parley")
    yield own
    own.destroy()
