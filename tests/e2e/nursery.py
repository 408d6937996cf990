# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the programs of participants, each in a process of its own. What they need takes a quarter of a second to load, so one process loads
it and forks one for each."""

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class Child:
    """What `python -c PROGRAM WORDS…` would be: begun at once, with what it says in .stdout and .stderr."""

    def __init__(self, preload, library, program, *words, **environment):
        pipes = [os.pipe() for _ in range(3)]
        self.stdout, self.stderr, self.end = (os.fdopen(ours) for ours, _ in pipes)
        message = json.dumps([program, [str(word) for word in words], environment]).encode()
        socket.send_fds(nursery(preload, library), [message], [theirs for _, theirs in pipes])
        for _, theirs in pipes:
            os.close(theirs)
        self.pid = int(self.end.readline())

    def wait(self):
        """0 when it ended well; nothing else than that is known of another end."""
        return 0 if self.end.read() == "well" else 1

    def communicate(self):
        return self.stdout.read(), self.stderr.read()


@functools.cache
def nursery(preload, library):
    """Where programs are sent: with libcairn, which needs its sanitizer to be loaded first."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    subprocess.Popen([sys.executable, __file__], stdin=theirs, env={
        **os.environ, "PYTHONPATH": str(ROOT / "clients/python"), "CAIRN_LIBRARY": str(library), "LD_PRELOAD": preload,
        "ASAN_OPTIONS": "detect_leaks=0", "OPENBLAS_NUM_THREADS": "1"})
    theirs.close()
    return ours


def become(program, words, environment, end):
    os.write(end, b"%d\n" % os.getpid())
    signal.alarm(500)  # ends a hang
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(0)
    os.environ.update(environment)
    sys.argv = ["-c", *words]
    try:
        exec(program, {"__name__": "__main__"})
        sys.stdout.flush()
        os.write(end, b"well")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


def main():
    import cairn.federate

    cairn.federate._library()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who waits for them sees the ends of their pipes
    with socket.socket(fileno=0) as asked:
        while True:
            message, files, _, _ = socket.recv_fds(asked, 1 << 20, 3)
            if not message:
                break
            if os.fork() == 0:
                os.dup2(files[0], 1)
                os.dup2(files[1], 2)
                become(*json.loads(message), files[2])
            for file in files:
                os.close(file)


if __name__ == "__main__":
    main()
