"""What every test gets: an environment without the tester's settings, and a word for each missing system part."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands, is_ours
from tests.support.faultfs import FaultFS, compiled, mounted_faultfs
from tests.support.models import repo_of
from tests.support.moosefs import MooseFS, moosefs_volume
from tests.support.parts import PARTS, REQUIRE, missing, required
from tests.support.populates import Populates
from tests.support.runpod import RunPod
from tests.support.runpod_api import running_runpod
from tests.support.runs import Runs

MOOSEFS_SPACE = 1_000_000_000

_NEEDS = "needs "

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    # A run begun in the background, or by nohup, may have these ignored, and what it starts would ignore them too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    config.addinivalue_line("markers", "needs(*parts): skipped where one of tests.support.parts is missing")
    settings.load_profile("ci" if os.environ.get("CI") or os.environ.get(REQUIRE) else "local")
    for name in filter(is_ours, list(os.environ)):
        if name != REQUIRE:
            del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name, reason in _missing_parts(item):
            if not required(name):
                item.add_marker(pytest.mark.skip(reason=f"{_NEEDS}{name}: {reason}"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, reason in _missing_parts(item):
        pytest.fail(f"{REQUIRE} wants every test run, and {name} is missing: {reason}", pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # From the reports, which also come from the processes that the tests are shared out to.
    skipped = (str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", ()))
    lacking = Counter(reason.partition(_NEEDS)[2] for reason in skipped if _NEEDS in reason)
    _section(terminalreporter, "measured", _measured(terminalreporter.stats.get("passed", ())))
    missing = [f"{line}; wanted by {tests} tests" for line, tests in sorted(lacking.items())]
    _section(terminalreporter, "system parts missing here", missing)


def _measured(reports: Iterable[pytest.TestReport]) -> list[str]:
    return [str(value) for report in reports for name, value in report.user_properties if name == "measured"]


def _section(terminalreporter: pytest.TerminalReporter, title: str, lines: Sequence[str]) -> None:
    if lines:
        terminalreporter.section(title, sep="-")
        for line in lines:
            terminalreporter.line(line)


def _missing_parts(item: pytest.Item) -> list[tuple[str, str]]:
    marked = [str(name) for marker in item.iter_markers("needs") for name in marker.args]
    fixtures = [name for name in getattr(item, "fixturenames", ()) if name in PARTS]
    return [(name, reason) for name in dict.fromkeys(marked + fixtures) if (reason := missing(name))]


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """The ``prefetch`` command with an empty home below this test's ``tmp_path``."""
    home = tmp_path / "home"
    home.mkdir()
    return Commands(home)


@pytest.fixture(scope="session")
def moosefs() -> Iterator[MooseFS]:
    """One real MooseFS for the whole test session, uncapped; each test works in a folder of its own on it."""
    with moosefs_volume(space=MOOSEFS_SPACE) as filesystem:
        yield filesystem


@pytest.fixture(scope="session")
def faultfs_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file system of `tests.support.faultfs`, compiled once."""
    return compiled(tmp_path_factory.mktemp("faultfs"))


@pytest.fixture
def faultfs(faultfs_program: Path, tmp_path: Path) -> Iterator[FaultFS]:
    """A file system that fails where it is told to, for one test."""
    with mounted_faultfs(faultfs_program, tmp_path / "faultfs") as filesystem:
        yield filesystem


@pytest.fixture
def origin(request: pytest.FixtureRequest) -> Iterator[DemoServer]:
    """A Hub with the MODELS of the test's module."""
    with running_origin(repos=[repo_of(request.module.MODELS)]) as server:
        yield server


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, tmp_path: Path, request: pytest.FixtureRequest) -> Runs:
    """Runs of the MODELS of the test's module, onto a volume of this test's own."""
    return Runs(commands, origin, tmp_path / "volume", tuple(request.module.MODELS))


@pytest.fixture
def runpod(tmp_path: Path) -> Iterator[RunPod]:
    """An account at RunPod whose pods do nothing; what was asked of it must have kept to the contract."""
    with running_runpod(tmp_path / "volumes") as account:
        yield account
        assert account.breaches == []


@pytest.fixture
def populates(commands: Commands, runpod: RunPod, request: pytest.FixtureRequest) -> Populates:
    """Populates of the MODELS of the test's module."""
    return Populates(commands, runpod, request.module.MODELS)
