"""Queries of turns that several threads build at the same moment, each for the first time in its process."""

import importlib
import pkgutil
import subprocess
import sys

from sqlalchemy.orm.util import AliasedClass

SCRIPT = """
import sys, threading
from sqlalchemy import select
from workers.db.models import Job
from workers.store.jobs.concurrency_turns import claimable

sys.setswitchinterval(1e-6)
together, built = threading.Barrier(32), set()

def build():
    together.wait()
    built.add(str(select(Job.id).where(claimable())))

threads = [threading.Thread(target=build) for _ in range(32)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(built) == 1, built
"""


def test_threads_that_build_the_condition_of_a_claim_at_once_build_the_same() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_module_holds_an_alias_that_threads_would_share() -> None:
    """The threads above meet the fault only now and then; this is what it comes from."""
    packages = (importlib.import_module(name) for name in ("workers", "web"))
    names = [
        each.name for package in packages for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    assert len(names) > 300
    modules = [
        importlib.import_module(name) for name in names if not name.endswith("__main__") and ".versions" not in name
    ]
    shared = [f"{each.__name__}.{name}" for each in modules for name, value in vars(each).items() if is_alias(value)]
    assert shared == []


def is_alias(value: object) -> bool:
    return isinstance(value, AliasedClass)
