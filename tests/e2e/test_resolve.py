# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads: every header, ranges, and what is said about what is not there."""

from urllib.parse import quote

import pytest
from huggingface_hub import get_hf_file_metadata
from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError

from support import git_blob_id, pointer_of, sha256

TEXT = "A cairn marks the path.\n".encode() * 40
WEIGHTS = bytes(range(256)) * 50


@pytest.fixture(scope="module")
def filled(alice):
    repo = alice.new_repo("filled")
    alice.commit_files(repo, {"notes.txt": TEXT, "w.bin": WEIGHTS, "empty.txt": b"", "dir/page.html": b"<script>alert(1)</script>"})
    return repo


@pytest.fixture(params=["notes.txt", "w.bin"])
def file(request, filled):
    """The address and the content of a small and of a large file."""
    return f"/{filled}/resolve/main/{request.param}", TEXT if request.param == "notes.txt" else WEIGHTS


def test_a_small_file_is_named_by_its_git_id(alice, filled):
    answer = alice.http.get(f"/{filled}/resolve/main/notes.txt")
    assert answer.content == TEXT
    assert answer.headers["etag"] == f'"{git_blob_id(TEXT)}"'
    assert answer.headers["x-repo-commit"] == alice.head(filled)
    assert "x-linked-etag" not in answer.headers


def test_a_large_file_is_named_by_its_sha256(alice, filled):
    answer = alice.http.get(f"/{filled}/resolve/main/w.bin")
    assert answer.content == WEIGHTS
    assert answer.headers["x-linked-etag"] == f'"{sha256(WEIGHTS)}"'
    assert answer.headers["x-linked-size"] == str(len(WEIGHTS))
    assert answer.headers["x-repo-commit"] == alice.head(filled)


def test_only_a_large_file_claims_to_be_stored_by_chunks(alice, filled):
    for path, large in ("notes.txt", False), ("w.bin", True):
        assert ("x-xet-hash" in alice.http.get(f"/{filled}/resolve/main/{path}").headers) is large


def test_head_says_all_that_get_says(alice, file):
    url, content = file
    plain = {"accept-encoding": "identity"}
    head, get = alice.http.head(url, headers=plain), alice.http.get(url, headers=plain)
    own = {"x-request-id", "date"}
    assert {k: v for k, v in head.headers.items() if k not in own} == {k: v for k, v in get.headers.items() if k not in own}
    assert head.status_code == 200 and head.content == b""
    assert head.headers["content-length"] == str(len(content))


def test_the_client_reads_the_metadata(hub, alice, filled):
    found = get_hf_file_metadata(f"{hub.url}/{filled}/resolve/main/w.bin", token=alice.token)
    assert (found.commit_hash, found.etag, found.size) == (alice.head(filled), sha256(WEIGHTS), len(WEIGHTS))
    small = get_hf_file_metadata(f"{hub.url}/{filled}/resolve/main/notes.txt", token=alice.token)
    assert found.xet_file_data and small.xet_file_data is None


RANGES = [
    ("bytes=0-0", 206, 0, 1),
    ("bytes=0-99", 206, 0, 100),
    ("bytes=100-", 206, 100, None),
    ("bytes=-1", 206, -1, None),
    ("bytes=-100", 206, -100, None),
    ("bytes=0-99999999", 206, 0, None),
    ("bytes=-99999999", 206, 0, None),
    ("BYTES=0-9", 206, 0, 10),
    ("bytes=5-2", 200, 0, None),
    ("bytes=a-b", 200, 0, None),
    ("bytes=", 200, 0, None),
    ("bytes=-", 200, 0, None),
    ("items=0-9", 200, 0, None),
    ("bytes=0-1,5-6", 200, 0, None),
    ("bytes=0-18446744073709551616", (200, 206), 0, None),
    ("bytes=99999999-", 416, 0, 0),
    ("bytes=99999999-99999999", 416, 0, 0),
    ("bytes=-0", (416, 200), 0, None),
]


@pytest.mark.parametrize("asked, status, start, end", RANGES, ids=[row[0] for row in RANGES])
def test_ranges(alice, file, asked, status, start, end):
    url, content = file
    answer = alice.http.get(url, headers={"range": asked})
    assert answer.status_code in (status if isinstance(status, tuple) else (status,))
    if answer.status_code == 416:
        assert answer.headers["content-range"] == f"bytes */{len(content)}"
        return
    expected = content[start:end]
    assert answer.content == expected
    if answer.status_code == 206:
        first = len(content) + start if start < 0 else start
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(content)}"
        assert answer.headers["content-length"] == str(len(expected))
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_range_right_behind_the_end_is_416(alice, file):
    url, content = file
    assert alice.http.get(url, headers={"range": f"bytes={len(content)}-"}).status_code == 416


def test_a_range_may_depend_on_the_etag(alice, file):
    url, content = file
    etag = alice.http.head(url).headers["etag"]
    same = alice.http.get(url, headers={"range": "bytes=0-9", "if-range": etag})
    other = alice.http.get(url, headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert (same.status_code, same.content) == (206, content[:10])
    assert (other.status_code, other.content) == (200, content)


def test_what_has_not_changed_is_not_sent_again(alice, file):
    url, content = file
    etag = alice.http.head(url).headers["etag"]
    assert alice.http.get(url, headers={"if-none-match": etag}).status_code == 304
    assert alice.http.get(url, headers={"if-none-match": '"other"'}).content == content


def test_an_interrupted_download_goes_on_where_it_was(alice, file):
    url, content = file
    pieces = [alice.http.get(url, headers={"range": f"bytes={start}-{start + 299}"}).content
              for start in range(0, len(content), 300)]
    assert b"".join(pieces) == content


def test_an_empty_file_comes_down(alice, filled):
    answer = alice.http.get(f"/{filled}/resolve/main/empty.txt")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


@pytest.mark.parametrize("path", ["missing.txt", "dir", "dir/", "notes.txt/below", ""])
def test_a_missing_file_names_the_commit(alice, filled, path):
    for method in "GET", "HEAD":
        missing = alice.http.request(method, f"/{filled}/resolve/main/{path}")
        assert (missing.status_code, missing.headers["x-error-code"]) == (404, "EntryNotFound")
        assert missing.headers["x-repo-commit"] == alice.head(filled)
        assert missing.headers["x-error-message"]


def test_the_client_tells_missing_files_from_missing_revisions(alice, filled, tmp_path):
    with pytest.raises(EntryNotFoundError):
        alice.api.hf_hub_download(filled, "missing.txt", cache_dir=tmp_path)
    with pytest.raises(RevisionNotFoundError):
        alice.api.hf_hub_download(filled, "notes.txt", revision="never-was", cache_dir=tmp_path)


def test_a_missing_revision_says_so(alice, filled):
    missing = alice.http.get(f"/{filled}/resolve/never-was/notes.txt")
    assert (missing.status_code, missing.headers["x-error-code"]) == (404, "RevisionNotFound")
    assert missing.json()["error"] == "Invalid rev id: never-was"


def test_every_kind_of_revision_is_understood(alice, repo):
    first = alice.commit_files(repo, {"a.txt": b"first"}).oid
    alice.api.create_tag(repo, tag="v1/rc", tag_message="annotated")
    alice.api.create_branch(repo, branch="feat/x")
    alice.commit_files(repo, {"a.txt": b"second"})
    for revision in first, first[:7], first.upper(), "v1%2Frc", "feat%2Fx", "refs%2Ftags%2Fv1%2Frc", "refs%2Fheads%2Ffeat%2Fx":
        assert alice.read(repo, "a.txt", revision) == b"first", revision
    for revision in "main", "refs%2Fheads%2Fmain", "HEAD":
        assert alice.read(repo, "a.txt", revision) == b"second", revision


def test_raw_is_what_git_has(alice, filled):
    assert alice.http.get(f"/{filled}/raw/main/notes.txt").content == TEXT
    raw = alice.http.get(f"/{filled}/raw/main/w.bin")
    assert raw.content == pointer_of(WEIGHTS)
    assert raw.headers["etag"] == f'"{git_blob_id(pointer_of(WEIGHTS))}"'
    assert alice.http.head(f"/{filled}/raw/main/notes.txt").status_code == 200
    assert alice.http.head(f"/{filled}/raw/main/missing").status_code == 404


def test_what_people_upload_is_never_run_in_a_browser(alice, filled):
    page = alice.http.get(f"/{filled}/resolve/main/dir/page.html")
    assert "text/html" not in page.headers.get("content-type", "")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in page.headers["content-security-policy"]


def test_a_file_name_cannot_break_out_of_a_header(alice, repo):
    name = 'a"; filename=evil.exe; x="ü'
    alice.commit_files(repo, {name: b"x"})
    answer = alice.http.get(f"/{repo}/resolve/main/{quote(name)}")
    assert answer.content == b"x"
    assert "evil.exe;" not in answer.headers["content-disposition"]


def test_private_files_are_for_those_who_may(alice, bob, anyone):
    repo = alice.new_repo(private=True)
    alice.commit_files(repo, {"a.txt": b"a"})
    assert alice.read(repo, "a.txt") == b"a"
    for stranger, status in (bob, 404), (anyone, 401):
        for kind in "resolve", "raw":
            refused = stranger.http.get(f"/{repo}/{kind}/main/a.txt")
            assert (refused.status_code, refused.headers["x-error-code"]) == (status, "RepoNotFound")
            assert "x-repo-commit" not in refused.headers


def test_the_token_may_be_a_password(alice, anyone, filled):
    repo = alice.new_repo(private=True)
    alice.commit_files(repo, {"a.txt": b"a"})
    assert anyone.http.get(f"/{repo}/resolve/main/a.txt", auth=("whoever", alice.token)).content == b"a"
    assert anyone.http.get(f"/{repo}/resolve/main/a.txt", auth=("alice", "wrong")).status_code == 401


def test_many_readers_at_once_get_the_same_bytes(alice, repo):
    from concurrent.futures import ThreadPoolExecutor

    content = bytes(range(251)) * 40_000
    alice.commit_files(repo, {"w.bin": content})
    size = len(content) // 16

    def part(number):
        end = "" if number == 15 else str((number + 1) * size - 1)
        return alice.http.get(f"/{repo}/resolve/main/w.bin", headers={"range": f"bytes={number * size}-{end}"}).content

    with ThreadPoolExecutor(16) as readers:
        assert b"".join(readers.map(part, range(16))) == content
