# SPDX-License-Identifier: GPL-3.0-or-later
"""What controlled access costs: the door's decision beside a million grants, in one process without HTTP (bench/access.c); and how much
slower the metadata of a gated repo is than that of one that is not."""

import shutil

from loads import wrk
from record import run
from servers import LOAD_CORES, ROOT

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
    rates = {name: [] for name in paths}
    for _ in range(bench.rounds):
        for name, path in paths.items():
            rates[name].append(wrk(LOAD_CORES, bench.hub.port, path, 2 if bench.quick else 5, None)["rate"])
    bench.table.pair("GET /api/models/ID of a gated repo; of an open one: requests/s", rates["gated"], rates["open"], 0, at_least=0.9)


def access(bench):
    decision(bench)
    metadata(bench)
