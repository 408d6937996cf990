# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub and nginx as processes on free ports, each on the cores that are the servers', and what they cost."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from loads import Http

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("CAIRN_BINARY", ROOT / "build" / "cairn")).absolute()
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"

CORES = sorted(os.sched_getaffinity(0))
# The load generator gets cores of its own, so that neither server is measured by how much it disturbs the client.
SERVER_CORES = CORES[: len(CORES) // 2] or CORES
LOAD_CORES = CORES[len(CORES) // 2:]

NGINX_CONFIG = """
{user}
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    types {{ application/json json; }}
    client_body_temp_path {folder}/tmp;
    proxy_temp_path {folder}/tmp;
    fastcgi_temp_path {folder}/tmp;
    uwsgi_temp_path {folder}/tmp;
    scgi_temp_path {folder}/tmp;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder}/files;
    }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process under measurement: start it with `launch`, end it with `stop`."""

    cores = SERVER_CORES

    def launch(self, command, log):
        with open(log, "ab") as out:
            self.process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=out,
                                            preexec_fn=lambda: os.sched_setaffinity(0, self.cores))
        deadline = time.monotonic() + 30
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} does not answer:\n{Path(log).read_text()[-2000:]}")
            time.sleep(0.02)

    def answers(self):
        try:
            with Http(self.port) as http:
                return http.ask("GET", "/healthz")[0] > 0
        except OSError:
            return False

    def pids(self):
        return [self.process.pid]

    def run_on(self, cores):
        """Threads that it starts later inherit this."""
        for pid in self.pids():
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(thread), cores)

    def cpu(self):
        """CPU seconds of all threads, those that ended too, to the nanosecond: the clock of another process has the
        number that clock_getcpuclockid(3) makes of its id."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Cairn(Server):
    def __init__(self, folder, cores=SERVER_CORES):
        self.cores = cores
        self.data = Path(folder) / "data"
        self.port = free_port()
        self.launch([BINARY, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"],
                    Path(folder) / "cairn.log")

    def admin(self, *words):
        done = subprocess.run([BINARY, "admin", "--data", self.data, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def reset_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def memory(self):
        """MiB by name: VmRSS, RssAnon, VmHWM (the peak of VmRSS since reset_peak)."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return {name: int(kib) / 1024 for name, kib in re.findall(r"^(VmRSS|RssAnon|VmHWM):\s+(\d+) kB", text, re.M)}


class Nginx(Server):
    def __init__(self, folder):
        self.folder = Path(folder) / "nginx"
        self.port = free_port()
        (self.folder / "files").mkdir(parents=True)
        config = self.folder / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(folder=self.folder, port=self.port, workers=len(self.cores),
                                              user="user root;" if os.geteuid() == 0 else ""))
        self.launch([NGINX, "-e", self.folder / "error.log", "-c", config, "-p", self.folder], self.folder / "start.log")

    def serve(self, name, source):
        """A file by another name of the same bytes, or one of these bytes."""
        target = self.folder / "files" / name
        if isinstance(source, Path):
            os.link(source, target)
        else:
            target.write_bytes(source)

    def pids(self):
        master = self.process.pid
        return [master] + [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]
