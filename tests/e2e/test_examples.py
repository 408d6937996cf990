# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of examples/federated, as their README starts them; that in PyTorch in `make soak`, since Debian's is 170 packages."""

import os
import re
import subprocess
import sys
import sysconfig
import threading

import numpy
import pytest
from safetensors.numpy import load, save

from support import ROOT
from test_federate import federate
from test_libcairn import LIBRARY, preload  # noqa: F401

EXAMPLES = ROOT / "examples/federated"


@pytest.fixture(scope="module")
def trio(alice, hub):
    return [alice, hub.person("example-ann"), hub.person("example-ben")]


def run(person, command, preload):  # noqa: F811
    environment = {**os.environ, "CAIRN_URL": person.hub.url, "CAIRN_TOKEN": person.token, "CAIRN_LIBRARY": str(LIBRARY),
                   "PYTHONPATH": f"{ROOT / 'clients/python'}:{ROOT / '.venv/federated'}", "LD_LIBRARY_PATH": str(LIBRARY.parent),
                   "LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, timeout=300)


def all_at_once(people, commands, preload):  # noqa: F811
    done = []
    threads = [threading.Thread(target=lambda pair=pair: done.append(run(*pair, preload))) for pair in zip(people, commands)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.returncode for one in done] == [0] * len(people), [one.stdout + one.stderr for one in done]


def learns(trio, preload, example, repo, rounds, least):  # noqa: F811
    def accuracy():
        return float(re.search(r"nobody trained with: ([0-9.]+)", run(trio[0], [*example, "try", repo], preload).stdout)[1])
    assert run(trio[0], [*example, "start", repo], preload).returncode == 0
    assert accuracy() < 0.3
    federate(trio[0], "open", repo, "--mode", "plain", "--rounds", rounds, "--min-participants", 3)
    all_at_once(trio, [[*example, "join", repo, f"{i}/3"] for i in range(3)], preload)
    assert accuracy() > least
    assert federate(trio[0], "status", repo)["accepted"] == 3 * rounds


def test_scikit_learn_learns_digits_at_three_places(trio, preload):  # noqa: F811
    learns(trio, preload, [sys.executable, EXAMPLES / "digits.py"], f"alice/digits-{os.getpid()}", 3, 0.9)


@pytest.mark.skipif("CAIRN_SOAK" not in os.environ, reason="make soak installs PyTorch")
def test_pytorch_learns_pictures_at_three_places(trio, preload):  # noqa: F811
    # Debian's Python has PyTorch, which wants the numpy beside it; all else is to be imported from here.
    program = "import numpy, runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_path(sys.argv.pop(1), None, '__main__')"
    example = ["/usr/bin/python3", "-c", program, sysconfig.get_path("purelib"), EXAMPLES / "fashion.py"]
    learns(trio, preload, example, f"alice/fashion-{os.getpid()}", 2, 0.8)


def test_a_line_is_found_in_plain_c(trio, tmp_path, preload):  # noqa: F811
    program = tmp_path / "line"
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", EXAMPLES / "line.c", f"-L{LIBRARY.parent}", "-lcairn",
                    "-o", program], check=True)
    repo = trio[0].new_repo("line")
    trio[0].commit_files(repo, {"model.safetensors": save({"line": numpy.zeros(2, numpy.float32)})})
    federate(trio[0], "open", repo, "--mode", "plain", "--rounds", 10, "--min-participants", 3)
    places = [["0,1", "1,3"], ["2,5", "-1,-1"], ["-2,-3", "3,7"]]  # y = 2 x + 1
    all_at_once(trio, [[program, repo, *points] for points in places], preload)
    assert numpy.allclose(load(trio[0].read(repo, "model.safetensors"))["line"], [2, 1], atol=0.05)
    other = trio[0].new_repo("no-line")
    trio[0].commit_files(other, {"model.safetensors": save({"curve": numpy.zeros(2, numpy.float32)})})
    federate(trio[0], "open", other, "--mode", "plain", "--rounds", 1, "--min-participants", 1)
    refused = run(trio[0], [program, other, "0,1"], preload)
    assert refused.returncode == 4 and "no line" in refused.stderr
