# SPDX-License-Identifier: GPL-3.0-or-later
"""libcairn as other programs meet it: through its header from C, and through the Python binding."""

import json
import os
import re
import subprocess
import sys

import pytest

from support import BINARY, ROOT, SANITIZER
from test_verify import FILES, case  # noqa: F401

LIBRARY = BINARY.resolve().parent / "libcairn.so"


@pytest.fixture(scope="session")
def preload():
    """A library with a sanitizer in it can only be loaded into a program that begins with the sanitizer's own."""
    needed = subprocess.run(["ldd", LIBRARY], capture_output=True, text=True, check=True).stdout
    return ":".join(line.split()[2] for line in needed.splitlines() if "libasan" in line or "libtsan" in line)


@pytest.fixture
def python(preload, tmp_path):
    """Runs a program that prints one JSON value."""

    def run(program, *arguments):
        done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=300,
                              env={**os.environ, "PYTHONPATH": str(ROOT / "clients/python"), "CAIRN_LIBRARY": str(LIBRARY),
                                   "LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0", "XDG_STATE_HOME": str(tmp_path / "state")})
        assert done.returncode == 0 and not SANITIZER.search(done.stderr), done.stderr
        return json.loads(done.stdout)

    return run


VERIFY = """
import cairn, json, sys
folder, proof, policy = sys.argv[1:4]
try:
    report = cairn.verify(folder, proof=proof, policy=policy, **json.loads(sys.argv[4]))
    print(json.dumps([True, [finding.check for finding in report.findings], report.leaf["type"], report.log["size"]]))
except cairn.VerificationError as problem:
    print(json.dumps([type(problem).__name__, str(problem), [f.text for f in problem.findings if f.outcome == "failed"]]))
except ValueError as problem:
    print(json.dumps(["ValueError", str(problem)]))
"""


def test_python_verifies_a_folder(case, python):  # noqa: F811
    arguments = VERIFY, case.folder, case.proof(), case.policy
    good, checks, type_, size = python(*arguments, "{}")
    assert good is True and type_ == "manifest" and size == 306
    assert {"checkpoint", "witnesses", "inclusion", "files"} <= set(checks)
    (case.folder / "model.bin").write_bytes(b"other")
    (case.folder / "empty").unlink()
    kind, message, failed = python(*arguments, "{}")
    assert kind == "VerificationError" and failed == message.splitlines() and len(failed) == 2
    assert failed[0] == "missing: empty was logged but is not here." and failed[1].startswith("changed: model.bin")
    assert python(VERIFY, case.folder, case.path / "nothing", case.policy, "{}")[0] == "CouldNotVerify"
    assert python(*arguments, '{"tensors": true, "partial": true}')[0] == "ValueError"


def test_python_tells_progress_and_its_version(case, python):  # noqa: F811
    case.log.write(case.path / "log")
    version, lines = python("""
import cairn, json, sys
lines = []
cairn.verify(log=sys.argv[1], vkey=sys.argv[2], progress=lines.append)
print(json.dumps([cairn.version(), lines]))
""", case.path / "log", case.log.signer.vkey)
    assert version == subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.split()[1]
    assert lines and "of 306 entries" in lines[-1]


def test_python_without_the_library_says_what_to_do():
    done = subprocess.run([sys.executable, "-c", "import cairn; cairn.verify('x', proof='y', vkey='z')"], capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "clients/python"), "CAIRN_LIBRARY": "/nothing.so"})
    assert "ImportError: libcairn cannot be loaded" in done.stderr and "CAIRN_LIBRARY" in done.stderr


PROGRAM = r"""
#include <cairn/verify.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    struct cairn_verify *verify = cairn_verify_new();
    if (argc != 4 || cairn_verify_set(verify, "no such setting", "x") != -1)
        return 9;
    cairn_verify_set(verify, "folder", argv[1]);
    cairn_verify_set(verify, "proof", argv[2]);
    cairn_verify_set(verify, "policy", argv[3]);
    if (cairn_verify_run(verify) != cairn_verify_run(verify) || cairn_verify_finding(verify, cairn_verify_count(verify)))
        return 9;
    cairn_verify_set(verify, "tensors", "0");
    enum cairn_verdict verdict = cairn_verify_run(verify);
    for (size_t i = 0; i < cairn_verify_count(verify); i++)
        printf("%s %s %s\n", cairn_verify_finding(verify, i)->outcome, cairn_verify_finding(verify, i)->check,
               cairn_verify_finding(verify, i)->text);
    cairn_verify_free(verify);
    cairn_verify_free(NULL);
    return (int)verdict;
}
"""


@pytest.mark.parametrize("standard", ["-std=c99", "-std=c++11"])
def test_a_program_in_c_verifies_a_folder(case, tmp_path, preload, standard):  # noqa: F811
    source = tmp_path / ("program.cc" if "++" in standard else "program.c")
    source.write_text(PROGRAM)
    compiler = "g++" if "++" in standard else "gcc"
    subprocess.run([compiler, standard, "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{ROOT}/include", source, f"-L{LIBRARY.parent}", "-lcairn",
                    "-o", tmp_path / "program"], check=True)
    command = [tmp_path / "program", case.folder, case.proof(), case.policy]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(LIBRARY.parent), "LD_PRELOAD": preload}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (case.folder / "empty").write_bytes(b"x")
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "failed files changed: empty" in done.stdout, done.stdout + done.stderr


def test_the_library_shows_what_its_headers_declare_and_nothing_else():
    symbols = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, text=True, check=True).stdout
    names = {line.split()[2].split("@")[0] for line in symbols.splitlines() if " A " not in line}
    headers = "".join(header.read_text() for header in (ROOT / "include/cairn").glob("*.h"))
    assert names == set(re.findall(r"\b(cairn_\w+)\(", headers))


def test_the_library_is_found_beside_the_program(preload, tmp_path):
    """As after `make`, without an installation."""
    plain = {name: value for name, value in os.environ.items() if name not in ("CAIRN_LIBRARY", "LD_LIBRARY_PATH")}
    environment = {**plain, "PYTHONPATH": str(ROOT / "clients/python"), "LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0"}
    (tmp_path / "cairn").symlink_to(BINARY.resolve())
    command = [sys.executable, "-c", "import cairn; print(cairn.version())"]
    found = subprocess.run(command, capture_output=True, text=True, env={**environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert found.returncode == 0 and re.fullmatch(r"[0-9.]+\n", found.stdout), found.stderr
    missed = subprocess.run(command, capture_output=True, text=True, env={**environment, "PATH": "/nowhere"})
    assert missed.returncode == 1 and "libcairn cannot be loaded" in missed.stderr and "CAIRN_LIBRARY" in missed.stderr
