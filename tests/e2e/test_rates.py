# SPDX-License-Identifier: GPL-3.0-or-later
"""How often one may ask: limits that are exact, told in the client's own headers, and got over by waiting as they say."""

import re
import time

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import parse_ratelimit_headers
from huggingface_hub.utils._http import http_backoff

from support import new_name, until
from tiers import applies, publish, rate


def ask(person, **headers):
    return person.http.get("/api/whoami-v2", headers=headers)


def test_a_hub_of_which_nobody_has_limited_anything_says_nothing_on_its_own_machine(alice):
    assert "ratelimit" not in ask(alice).headers


def test_answers_say_what_is_left_as_stock_clients_read_it(own_hub):
    publish(own_hub, "basic", rate("req.api", 100, 50, per=100_000))
    ada = own_hub.person("ada")
    applies(ada)
    info = parse_ratelimit_headers(ask(ada).headers)
    assert (info.resource_type, info.limit, info.window_seconds) == ("api", 50, 50_000)
    before = info.remaining
    assert parse_ratelimit_headers(ask(ada).headers).remaining <= before
    assert before > 40


def test_who_is_over_the_limit_is_told_the_exact_wait_and_may_go_on_after_it(own_hub):
    publish(own_hub, "basic", rate("req.api", 1, 3, per=2))
    ada = own_hub.person("ada")
    applies(ada)
    while (refused := ask(ada)).status_code == 200:
        pass
    assert refused.status_code == 429
    info = parse_ratelimit_headers(refused.headers)
    assert info.remaining == 0 and 1 <= info.reset_in_seconds <= 2
    assert refused.headers["retry-after"] == str(info.reset_in_seconds)
    assert refused.headers["x-error-code"] == "RateLimited"
    assert "requests to the API" in refused.json()["error"] and "/api/usage" in refused.json()["error"]
    time.sleep(info.reset_in_seconds)
    assert ask(ada).status_code == 200


def test_somebody_else_is_not_slowed_and_nor_are_other_kinds_of_requests(own_hub):
    publish(own_hub, "basic", rate("req.api", 1, 2, per=60))
    ada, ben = own_hub.person("ada"), own_hub.person("ben")
    repo = ada.new_repo()
    applies(ada)
    while ask(ada).status_code == 200:
        pass
    assert ask(ben).status_code == 200
    assert ada.http.get(f"/{repo}/resolve/main/.gitattributes").status_code == 200
    assert own_hub.anyone().http.get(f"/api/models/{repo}").status_code == 200


def test_the_limit_of_a_key_holds_for_that_key_alone(own_hub):
    publish(own_hub, "basic", rate("req.api", 1, 2, per=60, scope="key"))
    ada = own_hub.person("ada")
    other = own_hub.key_of("ada")
    applies(ada)
    while ask(ada).status_code == 200:
        pass
    assert ask(other).status_code == 200


def test_strangers_are_told_apart_by_the_address_that_the_proxy_saw(own_hub):
    own_hub.stop()
    own_hub.flags += ["--proxies", "127.0.0.1"]
    own_hub.start()
    publish(own_hub, "anon", rate("req.api", 1, 2, scope="network", per=600))
    ada = own_hub.person("ada")
    repo = ada.new_repo()
    stranger = own_hub.anyone()

    def look(address):
        return stranger.http.get(f"/api/models/{repo}", headers={"x-forwarded-for": address}).status_code

    while look("1.1.1.1, 203.0.113.7") == 200:
        pass
    assert look("9.9.9.9, 203.0.113.7") == 429, "what a client claims of itself does not help"
    assert look("203.0.113.8") == 200
    while look("2001:db8:1:2::5") == 200:
        pass
    assert look("2001:db8:1:2:ffff::1") == 429, "the same subscriber"
    assert look("2001:db8:1:3::5") == 200
    assert ask(ada).status_code == 200, "who is signed in is no stranger"


def test_guessing_keys_counts_against_the_address(own_hub):
    publish(own_hub, "anon", rate("req.api", 1, 5, scope="network", per=600))
    stranger = own_hub.anyone()

    def guess():
        return stranger.http.get("/api/whoami-v2", headers={"authorization": f"Bearer hf_{new_name()}"}).status_code

    assert guess() == 401
    until(lambda: guess() == 429)


def test_a_head_and_what_is_not_modified_cost_a_tenth(own_hub):
    publish(own_hub, "basic", rate("req.resolve", 1, 10, per=3600))
    ada = own_hub.person("ada")
    repo = ada.new_repo()
    url = f"/{repo}/resolve/main/.gitattributes"
    etag = ada.http.get(url).headers["etag"]
    answers = []
    while not answers or answers[-1].status_code == 200:
        answers.append(ada.http.head(url))
    publish_again = len(answers)
    assert publish_again >= 80, "ten downloads, or a hundred HEADs"
    ben = own_hub.person("ben")
    ben_answers = 0
    while ben.http.get(url, headers={"if-none-match": etag}).status_code == 304:
        ben_answers += 1
    assert ben_answers >= 80


def test_stock_huggingface_hub_is_slowed_and_recovers_by_itself(own_hub):
    publish(own_hub, "basic", rate("req.resolve", 1, 2, per=4), rate("req.api", 1, 2, per=1))
    ada = own_hub.person("ada")
    applies(ada)
    repo = f"ada/{new_name()}"
    ada.api.create_repo(repo)
    ada.commit_files(repo, {"a.txt": b"a"})
    while not re.search(r'"path":"[^"]*/resolve/[^"]*","status":429', own_hub.log_text()):  # two go through, and the third has to wait
        answer = http_backoff("GET", f"{own_hub.url}/{repo}/resolve/main/a.txt", headers={"authorization": f"Bearer {ada.token}"})
        assert answer.status_code == 200 and answer.content == b"a"


def test_a_client_that_does_not_wait_says_which_limit_and_how_long(own_hub):
    publish(own_hub, "basic", rate("req.api", 1, 1, per=600))
    ada = own_hub.person("ada")
    applies(ada)
    api = HfApi(endpoint=own_hub.url, token=ada.token)
    with pytest.raises(HfHubHTTPError) as refused:
        for _ in range(4):
            api.whoami()
    assert refused.value.response.status_code == 429
    assert re.search(r"rate limit|Rate limit|429", str(refused.value))


def test_requests_at_once_are_limited_and_counted_down_again(own_hub):
    publish(own_hub, "basic", {"unit": "conn.parallel", "scope": "person", "hard": 0}, rate("req.api", 100, 100))
    ada = own_hub.person("ada")
    applies(ada, header="retry-after")
    assert ask(ada).json()["error"].startswith("You have 0 requests open at once")
    publish(own_hub, "basic", {"unit": "conn.parallel", "scope": "person", "hard": 1}, rate("req.api", 1000, 1000))
    applies(ada)
    assert [ask(ada).status_code for _ in range(50)] == [200] * 50


def test_a_tier_that_is_none_is_refused_with_the_member_that_is_wrong(own_hub):
    bad = publish(own_hub, "basic", {"unit": "req.apo", "scope": "person", "rate": 1, "per": 1}, check=False)
    assert bad.returncode == 1 and '"unit"' in bad.stderr


def test_everybody_may_read_the_tiers_with_their_numbers(own_hub):
    publish(own_hub, "lab", rate("req.api", 7, 70, per=10), order=30)
    found = own_hub.anyone().http.get("/api/tiers").json()
    assert [tier["slug"] for tier in found] == ["anon", "basic", "lab"]
    lab = own_hub.anyone().http.get("/api/tiers/lab").json()
    assert lab["version"] == 1 and lab["tier"]["limits"][0]["rate"] == 7
    assert own_hub.anyone().http.get("/api/tiers/nothing").status_code == 404
    publish(own_hub, "lab", rate("req.api", 7, 70, per=10), order=30)
    assert own_hub.anyone().http.get("/api/tiers/lab").json()["version"] == 1, "nothing has changed"
    publish(own_hub, "lab", rate("req.api", 8, 70, per=10), order=30)
    assert own_hub.anyone().http.get("/api/tiers/lab").json()["version"] == 2
