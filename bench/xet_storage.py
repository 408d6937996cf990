# SPDX-License-Identifier: GPL-3.0-or-later
"""What chunks save, with the stock client and nothing disabled: room, beside plain LFS, which keeps each file whole; and bytes sent.
A client remembers what it has sent; one on another machine can only ask the hub, and asks for one chunk in 1024 and the first of each
file (xet-protocol 3.4). Both are measured. The peer is the size of the files: what plain LFS sends and keeps."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import xet_models as models
from servers import BINARY

MB = 1e6
SAME, OTHER = "one machine", "another machine"
HF = Path(sys.executable).with_name("hf")


def upload(bench, repo, source, target, machine):
    """A file or a folder. (bytes of its files, bytes that the hub received)"""
    home = bench.folder / machine
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_HOME": str(home), "HF_ENDPOINT": f"http://127.0.0.1:{bench.hub.port}", "HF_TOKEN": bench.token,
                    "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    before = received(bench)
    done = subprocess.run([HF, "upload", repo, source, target], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"hf upload failed:\n{done.stdout}{done.stderr}")
    if machine != SAME:
        shutil.rmtree(home)
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files), received(bench) - before


def received(bench):
    with bench.connect() as http:
        return int(re.search(r"^cairn_received_bytes_total (\d+)$", http.ask("GET", "/metrics")[2].decode(), re.M)[1])


def row(bench, what, ours, whole):
    bench.table.pair(what, [ours / MB], [whole / MB], 1)


def sent_row(bench, what, machine, sent, size):
    row(bench, f"{what}, from {machine}: MB sent", sent, size)


def room(bench, what, repo, plain):
    done = subprocess.run([BINARY, "du", "--data", bench.hub.data, "--json", repo], capture_output=True, text=True, check=True)
    usage = json.loads(done.stdout)
    row(bench, f"{what}: MB of different bytes", usage["unique"], plain)
    row(bench, f"{what}: MB stored", usage["stored"], plain)


def fine_tunes(bench, scratch, width):
    repo, base, plain = bench.new_repo("fine-tunes"), models.model(1, width), 0
    for number in range(10):
        tensors = models.trained(base, 100 + number, width, (models.LAYERS - 2, models.LAYERS - 1)) if number else base
        path = models.write(scratch / "model.safetensors", models.bf16(tensors))
        size, sent = upload(bench, repo, path, f"checkpoint-{number}/model.safetensors", OTHER)
        plain += size
    sent_row(bench, "checkpoint with the last 2 of 12 layers trained, the tenth", OTHER, sent, size)
    room(bench, f"10 such checkpoints, each from {OTHER}", repo, plain)


def quantisations(bench, scratch, width, machine):
    repo, plain = bench.new_repo(f"quantisations-{machine.split()[0]}"), 0
    tensors = models.model(len(machine), width)
    small = models.bf16(tensors)
    steps = {
        "a model, float32": lambda: models.write(scratch / "float32.safetensors", tensors),
        "the same, bfloat16": lambda: models.write(scratch / "bfloat16.safetensors", small),
        "its int8": lambda: models.write(scratch / "int8.safetensors", models.quantised(tensors, lambda name: models.int8)),
        "its int4": lambda: models.write(scratch / "int4.safetensors", models.quantised(tensors, lambda name: models.int4)),
        "re-quantised (int4, 2 of 6 matrices as in the int8)": lambda: models.write(
            scratch / "mixed.safetensors", models.quantised(tensors, models.mixed)),
        "re-sharded (the bfloat16 in 3 files)": lambda: models.write_shards(scratch / "shards", small, 3),
    }
    for what, make in steps.items():
        path = make()
        size, sent = upload(bench, repo, path, path.name, machine)
        plain += size
        sent_row(bench, what, machine, sent, size)
    room(bench, f"these six, from {machine}", repo, plain)


def edits(bench, scratch, machine):
    """New versions of a file that the hub has, in another repo of the same people."""
    repo, data = bench.new_repo(f"edits-{machine.split()[0]}"), (scratch / "bfloat16.safetensors").read_bytes()
    middle, path = len(data) // 2, scratch / "edited.safetensors"
    versions = {
        "the bfloat16 as it is, into another repo": data,
        "edited (1 MB in the middle overwritten)": data[:middle] + os.urandom(1_000_000) + data[middle + 1_000_000:],
        "edited (1 KB inserted in the middle)": data[:middle] + os.urandom(1000) + data[middle:],
        "appended to (1 MB)": data + os.urandom(1_000_000),
    }
    for what, content in versions.items():
        path.write_bytes(content)
        size, sent = upload(bench, repo, path, path.name, machine)
        sent_row(bench, what, machine, sent, size)


def storage(bench):
    scratch = bench.folder / "models"
    fine_tunes(bench, scratch, 128 if bench.quick else 320)
    for machine in (SAME, OTHER):
        quantisations(bench, scratch, 128 if bench.quick else 448, machine)
        edits(bench, scratch, machine)
    shutil.rmtree(scratch)
