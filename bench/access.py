# SPDX-License-Identifier: GPL-3.0-or-later
"""What controlled access costs: the door's decision beside a million grants, in one process without HTTP (bench/access.c); how much
slower the metadata of a gated repo is than that of one that is not; and how long the first page of a long queue takes."""

import shutil
import sqlite3
from contextlib import closing
from statistics import median, quantiles

from loads import Http, wrk
from record import run
from servers import LOAD_CORES, ROOT
from signin import latencies

ACCESS = ROOT / "build" / "release" / "bench_access"


def decision(bench):
    folder, grants = bench.folder / "access", 100_000 if bench.quick else 1_000_000
    folder.mkdir()
    try:
        found = run(ACCESS, folder, grants, 2 if bench.quick else 5)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    what = f"the door beside {grants:,} grants"
    bench.table.alone(f"{what}: yes to a grant, p99, us", [found["grant_p99"]], below=20)
    bench.table.alone(f"{what}: yes to a grant, p50, us", [found["grant_p50"]])
    bench.table.alone(f"{what}: no, p99, us", [found["refusal_p99"]], below=20)
    bench.table.alone(f"{what}: a repo without a gate, p99, us", [found["open_p99"]])


def metadata(bench):
    """Two repos with the same content, one of them gated."""
    files = {"README.md": b"# A model\n", "config.json": b"{}"}
    paths = {name: f"/api/models/{bench.new_repo(name, files)}" for name in ("open", "gated")}
    bench.http.ask_json("PUT", f"{paths['gated']}/settings", {"gated": "manual"})
    rates, cpu = ({name: [] for name in paths} for _ in range(2))
    for _ in range(bench.rounds):
        for name, path in paths.items():
            spent = bench.hub.cpu()
            result = wrk(LOAD_CORES, bench.hub.port, path, 2 if bench.quick else 5, None)
            rates[name].append(result["rate"])
            cpu[name].append((bench.hub.cpu() - spent) * 1e6 / result["count"])
    what = "GET /api/models/ID of a gated repo; of an open one"
    bench.table.pair(f"{what}: requests/s", rates["gated"], rates["open"], 0, at_least=0.9)
    bench.table.pair(f"{what}: CPU, us/request", cpu["gated"], cpu["open"], 1)


def repeat(db, table, row_id, count, **others):
    """Copies a row `count` times, with the columns `others` as SQL that may name the number i of the copy."""
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] != "id" or "id" in others]
    values = ", ".join(others.get(column, column) for column in columns)
    db.execute(f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
               f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM n, {table} WHERE id = {row_id}")


def fill_queue(bench, repo, count):
    """One person asks; what that wrote is then there for as many others, since to let them ask one by one would take minutes."""
    bench.hub.admin("user", "create", "asker")
    with Http(bench.hub.port, bench.hub.admin("token", "create", "asker", "--name", "bench", "--role", "read")) as http:
        http.ask_json("POST", f"/api/models/{repo}/access-request", {})
    with closing(sqlite3.connect(bench.hub.data / "cairn.db", timeout=60)) as db, db:
        account, request, text = (db.execute(f"SELECT max(id) FROM {table}").fetchone()[0]
                                  for table in ("account", "access_request", "access_request_text"))
        repeat(db, "account", account, count - 1, id="id + i", name="name || i", name_folded="name_folded || i")
        repeat(db, "access_request", request, count - 1, id="id + i", applicant_id="applicant_id + i")
        repeat(db, "access_request_text", text, count - 1, request_id="request_id + i", by_id="by_id + i")


def queue(bench):
    repo, count = bench.new_repo("queue", {"README.md": b"# A model\n"}), 10_000 if bench.quick else 100_000
    bench.http.ask_json("PUT", f"/api/models/{repo}/settings", {"gated": "manual"})
    fill_queue(bench, repo, count)
    for what, path in ("access-requests", "access-requests"), ("the Hub protocol's list", "user-access-request/pending"):
        with bench.connect() as http:
            assert len(http.ask_json("GET", f"/api/models/{repo}/{path}")) == 100
            times = [latencies(http, f"/api/models/{repo}/{path}", 1 if bench.quick else 3) for _ in range(bench.rounds)]
        what = f"the first page of {count:,} open requests, {what}"
        bench.table.alone(f"{what}: median ms", [median(t) for t in times])
        bench.table.alone(f"{what}: p99, ms", [quantiles(t, n=100)[98] for t in times], below=10)


def access(bench):
    metadata(bench)
    queue(bench)
    decision(bench)  # the last: the hub ends connections that were idle for as long
