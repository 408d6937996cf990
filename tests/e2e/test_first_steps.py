# SPDX-License-Identifier: GPL-3.0-or-later
"""What a newcomer does first, with the tools that they have."""

import json

import pytest

from support import new_name, sha256


def test_logging_in_with_a_token_saves_it(alice):
    alice.hf("auth", "login", "--token", alice.token, HF_TOKEN=None)
    assert "alice" in alice.hf("auth", "whoami", HF_TOKEN=None).stdout
    assert alice.token in alice.hf("auth", "token", HF_TOKEN=None).stdout


def test_logging_in_with_a_wrong_token_is_refused(anyone):
    refused = anyone.hf("auth", "login", "--token", "hf_thisIsNotAToken", check=False)
    assert refused.returncode != 0
    assert "Invalid" in refused.stdout + refused.stderr


def test_whoami_tells_name_role_and_organisations(hub, alice):
    hub.org("stonemasons", alice="write")
    me = alice.api.whoami()
    assert (me["name"], me["type"]) == ("alice", "user")
    assert me["auth"]["accessToken"]["role"] == "write"
    [org] = [org for org in me["orgs"] if org["name"] == "stonemasons"]
    assert org["fullname"] == "stonemasons"


def test_a_read_key_says_so(reader):
    assert reader.api.whoami()["auth"]["accessToken"]["role"] == "read"


def test_a_file_goes_up_and_comes_down_byte_for_byte(alice, tmp_path):
    text = "Stones für alle 石\r\n".encode() * 1000
    (tmp_path / "notes.txt").write_bytes(text)
    repo = f"alice/{new_name('first')}"
    alice.hf("upload", repo, tmp_path / "notes.txt", "docs/notes.txt")
    alice.hf("download", repo, "docs/notes.txt", "--local-dir", tmp_path / "down")
    assert (tmp_path / "down/docs/notes.txt").read_bytes() == text


def test_a_repo_is_created_by_command(alice):
    name = new_name("made")
    alice.hf("repos", "create", name)
    assert alice.files(f"alice/{name}") == [".gitattributes"]


def test_a_private_upload_is_hidden_from_others(alice, anyone, tmp_path):
    (tmp_path / "secret.txt").write_text("mine")
    repo = f"alice/{new_name('private')}"
    alice.hf("upload", repo, tmp_path / "secret.txt", "--private")
    refused = anyone.hf("download", repo, check=False)
    assert refused.returncode != 0
    assert "mine" == alice.read(repo, "secret.txt").decode()


def test_a_folder_goes_up_and_comes_down(alice, tmp_path):
    files = {f"part-{i % 3}/file-{i}.bin": bytes([i]) * (i * 700) for i in range(12)}
    files |= {"README.md": b"---\nlicense: mit\n---\n# Stones\n", "empty.txt": b""}
    for path, content in files.items():
        (tmp_path / "up" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / path).write_bytes(content)
    repo = f"alice/{new_name('folder')}"
    alice.hf("upload", repo, tmp_path / "up", ".")
    alice.hf("download", repo, "--local-dir", tmp_path / "down")
    for path, content in files.items():
        assert (tmp_path / "down" / path).read_bytes() == content, path


def test_uploading_the_same_folder_again_makes_no_commit(alice, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"\0" * 4096)
    (tmp_path / "config.json").write_text("{}")
    repo = f"alice/{new_name('again')}"
    alice.hf("upload", repo, tmp_path, ".")
    before = alice.head(repo)
    alice.hf("upload", repo, tmp_path, ".")
    assert alice.head(repo) == before


def test_a_dataset_and_a_space_go_up_and_come_down(alice, tmp_path):
    (tmp_path / "data.csv").write_text("stone,height\ngranite,3\n")
    for kind in "dataset", "space":
        repo = alice.new_repo(kind, repo_type=kind)
        alice.hf("upload", repo, tmp_path / "data.csv", "--repo-type", kind)
        alice.hf("download", repo, "data.csv", "--repo-type", kind, "--local-dir", tmp_path / kind)
        assert (tmp_path / kind / "data.csv").read_bytes() == (tmp_path / "data.csv").read_bytes()


def test_a_client_that_prefers_chunks_downloads_plainly(alice, repo, tmp_path):
    """As installed, the client has Xet switched on; where a hub does not offer it, downloads take the ordinary way."""
    assert alice.http.put(f"/api/models/{repo}/settings", json={"xetEnabled": False}).is_success
    alice.commit_files(repo, {"w.bin": b"\0weights" * 5000, "a.txt": b"text"})
    alice.hf("download", repo, "--local-dir", tmp_path, HF_HUB_DISABLE_XET=None)
    assert (tmp_path / "w.bin").read_bytes() == b"\0weights" * 5000


def test_a_download_of_one_commit_needs_no_name_again(alice, tmp_path):
    repo = alice.new_repo()
    commit = alice.commit_files(repo, {"a.txt": b"old"}).oid
    alice.commit_files(repo, {"a.txt": b"new"})
    folder = alice.api.snapshot_download(repo, revision=commit, cache_dir=tmp_path)
    assert open(f"{folder}/a.txt", "rb").read() == b"old"


@pytest.fixture(scope="module")
def uploaded_model(alice, real_model):
    repo = f"alice/{new_name('minilm')}"
    alice.hf("upload", repo, real_model, ".")
    return repo


def test_a_real_model_comes_down_as_it_went_up(alice, uploaded_model, real_model, tmp_path):
    alice.hf("download", uploaded_model, "--local-dir", tmp_path)
    paths = [path.relative_to(real_model) for path in real_model.rglob("*") if path.is_file()]
    assert len(paths) > 8
    for path in paths:
        assert sha256((tmp_path / path).read_bytes()) == sha256((real_model / path).read_bytes()), path


def test_the_weights_of_the_real_model_load(alice, uploaded_model, real_model, tmp_path):
    from safetensors.numpy import load_file

    path = alice.api.hf_hub_download(uploaded_model, "model.safetensors", cache_dir=tmp_path)
    ours, original = load_file(path), load_file(real_model / "model.safetensors")
    assert ours.keys() == original.keys() and len(ours) > 50
    assert all((ours[name] == original[name]).all() for name in ours)


def test_the_model_page_knows_what_the_model_is(alice, uploaded_model, real_model):
    from safetensors import safe_open

    with safe_open(real_model / "model.safetensors", "numpy") as tensors:
        shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]
    count = 0
    for shape in shapes:
        size = 1
        for side in shape:
            size *= side
        count += size
    info = alice.api.model_info(uploaded_model)
    assert info.library_name == "sentence-transformers"
    assert info.pipeline_tag == "sentence-similarity"
    assert info.safetensors.total == count
    assert info.card_data is not None


LOAD_WITH_TRANSFORMERS = """
import json, sys
from transformers import AutoConfig, AutoTokenizer
config = AutoConfig.from_pretrained(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
print(json.dumps({"layers": config.num_hidden_layers, "tokens": tokenizer(sys.argv[2])["input_ids"]}))
"""


def test_transformers_load_config_and_tokenizer(alice, uploaded_model, real_model):
    from_hub = alice.python(LOAD_WITH_TRANSFORMERS, uploaded_model, "A cairn marks the path.")
    from_disk = alice.python(LOAD_WITH_TRANSFORMERS, real_model, "A cairn marks the path.")
    assert from_hub == from_disk
    assert from_hub["layers"] > 1 and len(from_hub["tokens"]) > 5


def test_what_was_loaded_once_loads_without_the_hub(hub, uploaded_model):
    guest = hub.anyone()
    online = guest.python(LOAD_WITH_TRANSFORMERS, uploaded_model, "stone")
    markers = [path for path in guest.home.rglob("*") if ".no_exist" in path.parts and path.is_file()]
    assert markers, "a file that is expected to be missing is remembered, because the 404 names the commit"
    offline = guest.python(LOAD_WITH_TRANSFORMERS, uploaded_model, "stone", HF_HUB_OFFLINE="1")
    assert online == offline


def test_metadata_of_the_weights_is_read_by_ranges(alice, uploaded_model):
    metadata = alice.api.get_safetensors_metadata(uploaded_model)
    assert sum(metadata.parameter_count.values()) == alice.api.model_info(uploaded_model).safetensors.total


def test_the_listing_command_finds_the_model(alice, uploaded_model):
    name = uploaded_model.split("/")[1]
    listed = json.loads(alice.hf("models", "ls", "--search", name, "--format", "json").stdout)
    assert [model["id"] for model in listed] == [uploaded_model]
