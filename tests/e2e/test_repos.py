# SPDX-License-Identifier: GPL-3.0-or-later
"""Repos are made, renamed, hidden and deleted."""

import pytest
from huggingface_hub import RepoUrl
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from support import new_name

KINDS = ("model", "dataset", "space")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_repo_has_one_commit_with_the_attributes(alice, kind):
    repo = alice.new_repo(kind, repo_type=kind)
    assert alice.titles(repo, repo_type=kind) == ["initial commit"]
    expected = {".gitattributes"} | ({"README.md", "index.html", "style.css"} if kind == "space" else set())
    assert set(alice.files(repo, repo_type=kind)) == expected


def test_the_first_commit_is_its_makers(alice, repo):
    assert alice.api.list_repo_commits(repo)[0].authors == ["alice"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_names_the_address(alice, hub, kind):
    prefix = "" if kind == "model" else f"{kind}s/"
    name = new_name(kind)
    url = alice.api.create_repo(f"alice/{name}", repo_type=kind, space_sdk="static" if kind == "space" else None)
    assert isinstance(url, RepoUrl)
    assert str(url) == f"{hub.url}/{prefix}alice/{name}"


def test_a_name_without_name_space_is_ones_own(alice):
    name = new_name()
    assert alice.api.create_repo(name).repo_id == f"alice/{name}"


def test_ones_own_name_is_accepted_as_organisation(alice):
    name = new_name()
    made = alice.http.post("/api/repos/create", json={"name": name, "organization": "alice", "type": "model"})
    assert made.status_code == 200
    assert made.json()["name"] == f"alice/{name}"
    assert len(made.json()["id"]) == 24


def test_creating_twice_is_a_conflict_that_names_the_address(alice, hub, repo):
    again = alice.http.post("/api/repos/create", json={"name": repo.split("/")[1], "organization": None})
    assert again.status_code == 409
    assert again.json() == again.json() | {"url": f"{hub.url}/{repo}", "error": "You already created this model repo"}
    with pytest.raises(HfHubHTTPError):
        alice.api.create_repo(repo)


def test_creating_twice_is_fine_when_asked_for(alice, repo):
    assert alice.api.create_repo(repo, exist_ok=True).repo_id == repo
    assert alice.titles(repo) == ["initial commit"]


def test_somebody_who_may_only_read_may_still_say_exist_ok(reader, repo):
    assert reader.api.create_repo(repo, exist_ok=True).repo_id == repo


def test_the_three_kinds_do_not_share_names(alice):
    name = f"alice/{new_name()}"
    for kind in KINDS:
        alice.api.create_repo(name, repo_type=kind, space_sdk="static" if kind == "space" else None)
    alice.api.delete_repo(name, repo_type="dataset")
    assert alice.api.repo_exists(name) and alice.api.repo_exists(name, repo_type="space")
    assert not alice.api.repo_exists(name, repo_type="dataset")


@pytest.mark.parametrize("name", ["a--b", "a..b", ".hidden", "-dash", "name.git", "a/b/c", "", "a b", "x" * 97, "café", "..", "dash-"])
def test_a_bad_name_is_refused(alice, name):
    refused = alice.http.post("/api/repos/create", json={"name": name})
    assert 400 <= refused.status_code < 500
    assert refused.json()["error"]


def test_nobody_creates_in_anothers_name_space(alice, bob, anyone, reader):
    body = {"name": new_name(), "organization": "alice"}
    assert bob.http.post("/api/repos/create", json=body).status_code == 403
    assert reader.http.post("/api/repos/create", json=body).status_code == 403
    assert anyone.http.post("/api/repos/create", json=body).status_code == 401
    assert alice.http.post("/api/repos/create", json=body).status_code == 200


def test_a_deleted_repo_is_gone(alice, repo):
    alice.api.delete_repo(repo)
    with pytest.raises(RepositoryNotFoundError):
        alice.api.repo_info(repo)


def test_deleting_what_is_not_there(alice):
    with pytest.raises(RepositoryNotFoundError):
        alice.api.delete_repo("alice/never-was")
    alice.api.delete_repo("alice/never-was", missing_ok=True)


def test_nobody_deletes_anothers_repo(alice, bob, anyone, repo):
    for stranger, status in (bob, 403), (anyone, 401):
        body = {"name": repo.split("/")[1], "organization": "alice"}
        assert stranger.http.request("DELETE", "/api/repos/delete", json=body).status_code == status
    assert alice.api.repo_exists(repo)


def test_a_name_is_free_again_after_deletion(alice, repo):
    alice.commit_files(repo, {"old.txt": b"old"})
    alice.api.delete_repo(repo)
    alice.api.create_repo(repo)
    assert alice.files(repo) == [".gitattributes"]


def test_a_renamed_repo_answers_to_both_names(alice, repo, tmp_path):
    alice.commit_files(repo, {"a.txt": b"still here", "b.bin": b"\0\1" * 3000})
    renamed = f"alice/{new_name('renamed')}"
    alice.api.move_repo(repo, renamed)
    assert alice.api.repo_info(repo).id == renamed
    assert alice.api.repo_info(renamed).id == renamed
    for name in repo, renamed:
        for path, content in ("a.txt", b"still here"), ("b.bin", b"\0\1" * 3000):
            local = alice.api.hf_hub_download(name, path, cache_dir=tmp_path / new_name())
            assert open(local, "rb").read() == content


def test_a_private_repo_is_followed_with_its_key(alice, anyone, tmp_path):
    repo, renamed = alice.new_repo(private=True), f"alice/{new_name('renamed')}"
    alice.commit_files(repo, {"a.txt": b"private"})
    alice.api.move_repo(repo, renamed)
    local = alice.api.hf_hub_download(repo, "a.txt", cache_dir=tmp_path)
    assert open(local, "rb").read() == b"private"
    hidden = anyone.http.get(f"/{repo}/resolve/main/a.txt")
    assert hidden.status_code == 401, "where a hidden repo went is hidden, too"


def test_a_redirect_keeps_method_path_and_query(alice, repo):
    renamed = f"alice/{new_name('renamed')}"
    alice.api.move_repo(repo, renamed)
    for path in f"/api/models/{repo}/tree/main?recursive=true", f"/{repo}/resolve/main/a%20b/c%3Fd.txt":
        moved = alice.http.get(path, follow_redirects=False)
        assert moved.status_code == 307
        assert moved.headers["location"] == path.replace(repo, renamed)


def test_commits_through_the_old_name_arrive(alice, repo):
    renamed = f"alice/{new_name('renamed')}"
    alice.api.move_repo(repo, renamed)
    alice.commit_files(repo, {"late.txt": b"late"})
    assert "late.txt" in alice.files(renamed)


def test_a_rename_can_be_taken_back(alice, repo):
    renamed = f"alice/{new_name('renamed')}"
    alice.api.move_repo(repo, renamed)
    alice.api.move_repo(renamed, repo)
    assert alice.api.repo_info(repo).id == repo
    assert alice.api.repo_info(renamed).id == repo


def test_a_rename_onto_a_taken_name_is_refused(alice, repo):
    with pytest.raises(HfHubHTTPError, match="A model repository called .* already exists"):
        alice.api.move_repo(alice.new_repo(), repo)


def test_a_new_repo_takes_an_old_name_over(alice, repo):
    renamed = f"alice/{new_name('renamed')}"
    alice.api.move_repo(repo, renamed)
    alice.api.create_repo(repo)
    assert alice.api.repo_info(repo).id == repo
    assert alice.api.repo_info(renamed).id == renamed


def test_names_are_matched_without_case(alice, repo):
    shouted = repo.upper()
    assert alice.api.repo_info(shouted).id == repo
    alice.commit_files(shouted, {"a.txt": b"a"})
    assert alice.read(shouted, "a.txt") == b"a"
    assert alice.http.post("/api/repos/create", json={"name": repo.split("/")[1].upper()}).status_code == 409


def test_visibility_changes_at_once(alice, anyone, repo):
    assert anyone.http.get(f"/api/models/{repo}").status_code == 200
    alice.api.update_repo_settings(repo, private=True)
    assert alice.api.repo_info(repo).private is True
    assert anyone.http.get(f"/api/models/{repo}").status_code == 401
    alice.api.update_repo_settings(repo, visibility="public")
    assert alice.api.repo_info(repo).private is False
    assert anyone.http.get(f"/api/models/{repo}").status_code == 200


def test_older_clients_say_private(alice, anyone):
    name = new_name()
    made = alice.http.post("/api/repos/create", json={"name": name, "organization": "alice", "private": True})
    assert made.status_code == 200
    assert anyone.http.get(f"/api/models/alice/{name}").status_code == 401


@pytest.mark.parametrize("gated", ["auto", "manual", False])
def test_the_gate_setting_shows_in_the_info(alice, repo, gated):
    alice.api.update_repo_settings(repo, gated=gated)
    assert alice.api.model_info(repo).gated == gated


def test_only_owners_change_settings(bob, anyone, repo):
    assert bob.http.put(f"/api/models/{repo}/settings", json={"visibility": "private"}).status_code == 403
    assert anyone.http.put(f"/api/models/{repo}/settings", json={"visibility": "private"}).status_code == 401


def test_members_write_to_their_organisation_and_strangers_do_not(hub, alice, bob, anyone):
    org = hub.org(new_name("org"), alice="write")
    repo = alice.api.create_repo(f"{org}/stones", private=True).repo_id
    alice.commit_files(repo, {"a.txt": b"ours"})
    assert bob.http.get(f"/api/models/{repo}").status_code == 404
    hub.admin("org", "add-member", org, "bob", "--role", "read")
    assert bob.read(repo, "a.txt") == b"ours"
    with pytest.raises(HfHubHTTPError) as refused:
        bob.commit_files(repo, {"b.txt": b"theirs"})
    assert refused.value.response.status_code == 403


def test_an_organisation_may_make_private_the_default(hub, alice):
    org = hub.org(new_name("org"), alice="write")
    hub.admin("org", "set", org, "--default-private", "on")
    assert alice.api.repo_info(alice.api.create_repo(f"{org}/quiet").repo_id).private is True
    assert alice.api.repo_info(alice.api.create_repo(f"{org}/loud", visibility="public").repo_id).private is False
    hub.admin("org", "set", org, "--default-private", "off")
    assert alice.api.repo_info(alice.api.create_repo(f"{org}/usual").repo_id).private is False


def test_ones_own_repos_are_listed_with_their_size(alice):
    repo = alice.new_repo(private=True)
    alice.commit_files(repo, {"weights.bin": b"\0" * 5000})
    listed = {entry["id"]: entry for entry in alice.http.get("/api/settings/repositories").json()}
    assert listed[repo]["visibility"] == "private"
    assert listed[repo]["storage"] >= 5000


def test_a_space_needs_to_say_what_runs_it(alice):
    assert alice.http.post("/api/repos/create", json={"name": new_name(), "type": "space"}).status_code == 400
