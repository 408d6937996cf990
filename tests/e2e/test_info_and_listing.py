# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub says about a repo, and how repos are found."""

import re

import numpy
import pytest
from huggingface_hub.errors import RevisionNotFoundError
from safetensors.numpy import save

from support import git_blob_id, new_name, pointer_of, sha256

CARD = """---
license: apache-2.0
language: [en, de]
library_name: transformers
pipeline_tag: text-generation
base_model: alice/ancestor
datasets: [alice/stones]
tags: [cairn-test, {tag}]
---
# A card
"""


@pytest.fixture(scope="module")
def shelf(hub, alice, bob):
    """An author with models of known ages and tags, one of them private."""
    org = hub.org(new_name("shelf"), alice="write")
    tag = new_name("tag")
    for number in range(7):
        repo = alice.api.create_repo(f"{org}/model-{number}", private=number == 3).repo_id
        tags = tag if number % 2 == 0 else "odd"
        alice.commit_files(repo, {"README.md": CARD.format(tag=tags).encode()})
    alice.commit_files(f"{org}/model-1", {"later.txt": b"touched last"})
    return org, tag


@pytest.fixture(scope="module")
def described(alice):
    """A model with a card, a config and weights."""
    repo = alice.new_repo("described")
    weights = save({"a": numpy.zeros((3, 4), numpy.float32), "b": numpy.ones(5, numpy.float16)})
    alice.commit_files(repo, {
        "README.md": CARD.format(tag="mine").encode(),
        "config.json": b'{"architectures": ["StoneModel"], "model_type": "stone", "hidden_size": 4}',
        "model.safetensors": weights,
        "folder/notes.txt": b"notes",
    })
    return repo


def ids(people, **search):
    return [model.id for model in people.api.list_models(**search)]


def test_the_info_of_a_model(alice, described):
    info = alice.api.model_info(described)
    assert (info.id, info.author, info.private, info.gated, info.disabled) == (described, "alice", False, False, False)
    assert info.sha == alice.api.list_repo_commits(described)[0].commit_id
    assert info.created_at <= info.last_modified
    assert (info.downloads, info.likes) == (0, 0)


def test_the_card_tells_tags_library_and_task(alice, described):
    info = alice.api.model_info(described)
    assert (info.library_name, info.pipeline_tag) == ("transformers", "text-generation")
    assert info.card_data["license"] == "apache-2.0"
    assert info.card_data["base_model"] == "alice/ancestor"
    expected = {"transformers", "safetensors", "cairn-test", "mine", "license:apache-2.0", "en", "de", "dataset:alice/stones",
                "base_model:alice/ancestor"}
    assert expected <= set(info.tags)


def test_a_changed_card_counts_at_once(alice, repo):
    alice.commit_files(repo, {"README.md": b"---\npipeline_tag: fill-mask\n---\n"})
    assert alice.api.model_info(repo).pipeline_tag == "fill-mask"
    alice.commit_files(repo, {"README.md": b"# no front matter"})
    assert alice.api.model_info(repo).pipeline_tag is None


def test_a_card_that_is_no_yaml_harms_nothing(alice, repo):
    alice.commit_lines(repo, ("file", {"path": "README.md", "encoding": "utf-8", "content": "---\n: [ {\n---\n"}))
    assert alice.api.model_info(repo).pipeline_tag is None
    assert "README.md" in alice.files(repo)


def test_the_config_and_the_weights_are_summarised(alice, described):
    info = alice.api.model_info(described)
    assert info.config["architectures"] == ["StoneModel"]
    assert info.safetensors.parameters == {"F32": 12, "F16": 5}
    assert info.safetensors.total == 17


def test_weights_that_lie_about_their_header_are_left_out(alice, repo):
    alice.commit_files(repo, {"model.safetensors": b"\xff" * 8 + b"{" * 5000})
    info = alice.api.model_info(repo)
    assert info.safetensors is None
    assert info.sha == alice.head(repo)


def test_siblings_are_the_files_in_order(alice, described):
    names = [file.rfilename for file in alice.api.model_info(described).siblings]
    assert names == sorted([".gitattributes", "README.md", "config.json", "folder/notes.txt", "model.safetensors"])


def test_blobs_tell_sizes_and_hashes(alice, described):
    files = {file.rfilename: file for file in alice.api.model_info(described, files_metadata=True).siblings}
    notes, weights = files["folder/notes.txt"], files["model.safetensors"]
    content = alice.read(described, "model.safetensors")
    assert (notes.size, notes.blob_id, notes.lfs) == (5, git_blob_id(b"notes"), None)
    assert (weights.size, weights.lfs.sha256, weights.lfs.size) == (len(content), sha256(content), len(content))
    assert weights.blob_id == git_blob_id(pointer_of(content))
    assert weights.lfs.pointer_size == len(pointer_of(content))


def test_the_info_of_a_revision_is_of_that_revision(alice, repo):
    first = alice.commit_files(repo, {"a.txt": b"1"}).oid
    second = alice.commit_files(repo, {"b.txt": b"2"}).oid
    old = alice.api.model_info(repo, revision=first)
    assert old.sha == first and "b.txt" not in [file.rfilename for file in old.siblings]
    assert alice.api.model_info(repo, revision=second[:7]).sha == second
    assert alice.http.get(f"/api/models/{repo}/revision/HEAD").json()["sha"] == second
    with pytest.raises(RevisionNotFoundError):
        alice.api.model_info(repo, revision="no-such-branch")


def test_only_what_was_asked_for_is_sent(alice, described):
    answer = alice.http.get(f"/api/models/{described}?expand=sha&expand=tags").json()
    assert set(answer) == {"_id", "id", "sha", "tags"}
    older = alice.http.get(f"/api/models/{described}/revision/main?expand=xetEnabled").json()
    assert older == {"_id": older["_id"], "id": described, "xetEnabled": True}


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_every_property_that_the_client_knows_may_be_asked_for(alice, kind):
    from typing import get_args

    from huggingface_hub import hf_api

    repo = alice.new_repo(kind, repo_type=kind)
    properties = get_args(getattr(hf_api, f"Expand{kind.capitalize()}Property_T"))
    assert len(properties) > 10
    assert alice.api.repo_info(repo, repo_type=kind, expand=list(properties)).id == repo


def test_an_unknown_property_is_refused_with_the_known_ones(alice, described):
    refused = alice.http.get(f"/api/models/{described}?expand=nonsense")
    assert refused.status_code == 400
    known = re.fullmatch(r'"expand" must be one of \[(.*)\]', refused.json()["error"])
    assert {"sha", "siblings", "tags", "author"} <= set(known[1].split(", "))


def test_security_status_is_honest(alice, described):
    assert alice.api.model_info(described, securityStatus=True).security_repo_status["filesWithIssues"] == []


def test_listing_by_author_shows_private_repos_only_to_members(alice, bob, anyone, shelf):
    org, _ = shelf
    assert f"{org}/model-3" in ids(alice, author=org)
    assert sorted(ids(anyone, author=org)) == sorted(ids(bob, author=org)) == [f"{org}/model-{n}" for n in (0, 1, 2, 4, 5, 6)]


def test_an_unknown_author_has_nothing(anyone):
    assert ids(anyone, author="nobody-of-this-name") == []


def test_searching_ignores_case(anyone, shelf):
    org, _ = shelf
    assert ids(anyone, search=f"{org}/MODEL-5") == [f"{org}/model-5"]
    assert ids(anyone, search=f"{org}/model-3") == []


def test_filters_must_all_match(anyone, shelf):
    org, tag = shelf
    assert sorted(ids(anyone, filter=tag)) == [f"{org}/model-{n}" for n in (0, 2, 4, 6)]
    assert sorted(ids(anyone, filter=[tag, "license:apache-2.0", "de"])) == sorted(ids(anyone, filter=tag))
    assert ids(anyone, filter=[tag, "license:mit"]) == []


def test_the_task_is_a_filter(anyone, shelf):
    org, _ = shelf
    assert len(ids(anyone, author=org, pipeline_tag="text-generation")) == 6
    assert ids(anyone, author=org, pipeline_tag="fill-mask") == []


def test_sorting_is_newest_first(alice, shelf):
    org, _ = shelf
    assert ids(alice, author=org, sort="created_at") == [f"{org}/model-{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
    assert ids(alice, author=org, sort="last_modified")[0] == f"{org}/model-1"


def test_an_unknown_order_is_refused(anyone):
    assert anyone.http.get("/api/models?sort=beauty").status_code == 400


def test_pages_follow_by_link(hub, alice, shelf):
    org, _ = shelf
    url, seen, pages = f"/api/models?author={org}&limit=3&sort=createdAt", [], 0
    while url:
        page = alice.http.get(url)
        assert len(page.json()) <= 3
        seen += [model["id"] for model in page.json()]
        url, pages = page.links.get("next", {}).get("url"), pages + 1
        assert url is None or url.startswith(hub.url)
    assert pages == 3
    assert seen == [f"{org}/model-{n}" for n in (6, 5, 4, 3, 2, 1, 0)]


def test_a_link_is_written_as_all_clients_read_it(alice, shelf):
    link = alice.http.get(f"/api/models?author={shelf[0]}&limit=1").headers["link"]
    assert re.fullmatch(r'<https?://[^>]+>; rel="next"', link)


def test_a_limit_ends_the_list(alice, shelf):
    assert len(ids(alice, author=shelf[0], limit=2)) == 2


def test_full_listings_carry_the_files(alice, shelf):
    models = list(alice.api.list_models(author=shelf[0], full=True, limit=2))
    assert all(model.sha and model.siblings and model.author == shelf[0] for model in models)


def test_datasets_and_spaces_have_lists_of_their_own(alice):
    names = {kind: alice.new_repo(kind, repo_type=kind) for kind in ("model", "dataset", "space")}
    listed = {
        "model": ids(alice, author="alice"),
        "dataset": [found.id for found in alice.api.list_datasets(author="alice")],
        "space": [found.id for found in alice.api.list_spaces(author="alice")],
    }
    for kind, name in names.items():
        for other, found in listed.items():
            assert (name in found) == (kind == other)


def test_gated_models_can_be_told_apart(alice, repo):
    alice.api.update_repo_settings(repo, gated="manual")
    assert repo in ids(alice, author="alice", gated=True)
    assert repo not in ids(alice, author="alice", gated=False)


def test_dates_end_in_z(alice, described):
    info = alice.http.get(f"/api/models/{described}").json()
    for field in "createdAt", "lastModified":
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", info[field])


def test_a_readme_is_checked_before_it_is_committed(anyone):
    good = anyone.http.post("/api/validate-yaml", json={"content": "---\nlicense: mit\n---\n", "repoType": "model"})
    assert (good.status_code, good.json()["errors"]) == (200, [])
    empty = anyone.http.post("/api/validate-yaml", json={"content": "# nothing", "repoType": "model"})
    assert empty.status_code == 200 and empty.json()["warnings"]
    bad = anyone.http.post("/api/validate-yaml", json={"content": "---\nlicense: [\n---\n", "repoType": "model"})
    assert bad.status_code == 400 and bad.json()["errors"][0]["message"]


def test_an_unknown_licence_is_an_error(alice, repo):
    with pytest.raises(ValueError, match='"license" must be one of'):
        alice.commit_files(repo, {"README.md": b"---\nlicense: made-up\n---\n"})
