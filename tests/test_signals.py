"""A signal that comes while native code begins waits until that has begun."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, time
from importlib.machinery import ExtensionFileLoader
from prefetch.signals import take_signals


class Beginning(ExtensionFileLoader):
    def exec_module(self, module):
        os.kill(os.getpid(), int(sys.argv[1]))
        sum(range(1000))
        print("begun")


take_signals()
try:
    Beginning("native", "native.so").exec_module(None)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", [1, 2, 15])
def test_native_code_begins_in_peace(number: int) -> None:
    begin = f"import signal; signal.signal(2, signal.default_int_handler)\n{PROGRAM}"
    command = [sys.executable, "-c", begin, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.stderr) == ("begun\ninterrupted\n", "")
