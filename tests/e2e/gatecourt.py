# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate with reviewers, and the people around it, for the tests of reviews and appeals."""

import contextlib
import json
import sqlite3

from support import new_name

FORM = [
    {"name": "fullname", "type": "text", "required": True},
    {"name": "institution", "type": "text", "required": True},
    {"name": "country", "type": "country", "required": True},
    {"name": "email", "type": "email"},
    {"name": "affiliation", "type": "choice", "options": ["academic", "industry", "other"]},
    {"name": "purpose", "type": "longtext", "required": True},
    {"name": "safeguards", "type": "longtext", "required": True},
]
ANSWERS = {
    "fullname": "Zora Quillfeather",
    "institution": "Institute of Unlikely Names",
    "country": "CH",
    "email": "zora@quill.example",
    "affiliation": "academic",
    "purpose": "Measure how well it does on old letters. Zora Quillfeather will do it at the institute of unlikely names.",
    "safeguards": "One machine without a network; write to ZORA@quill.example.",
}
SECRETS = ["quillfeather", "unlikely names", "zora@quill.example", '"CH"']
GOOD = {"purpose": 2, "safeguards": 2, "feasible": 2, "conduct": "na"}
BAD = {"purpose": 0, "safeguards": 1, "feasible": 1, "conduct": 1}


def fine(answer):
    assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
    return answer.json()


def code_of(answer, status):
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    return answer.headers.get("x-error-code", answer.json().get("code"))


class Court:
    """A gated repo of a fresh owner, with people who hold roles at its gate."""

    def __init__(self, hub, **policy):
        self.hub = hub
        self.owner = hub.person(new_name("owner"))
        self.repo = self.owner.new_repo("gated")
        # of its own: what is gated elsewhere would be held as a re-upload
        self.owner.commit_files(self.repo, {"model.bin": f"weights of {self.repo}".encode()})
        self.people = {}
        fine(self.owner.http.put(f"/api/models/{self.repo}/gate", json={"mode": "manual", "risk": 1, "form": FORM,
                                                                        "secondRatePpm": 0, **policy}))

    def member(self, role, cap=None):
        person = self.hub.person(new_name(role))
        self.people[person.name] = person
        self.put(person, role, cap)
        return person

    def put(self, person, role, cap=None):
        return fine(self.owner.http.put(f"/api/models/{self.repo}/gate/reviewers",
                                        json={"user": person.name, "role": role, **({"cap": cap} if cap else {})}))

    def apply(self, person=None, **answers):
        person = person or self.hub.person(new_name("applicant"))
        fine(person.http.post(f"/api/models/{self.repo}/access-request", json={"answers": {**ANSWERS, **answers}}))
        return person

    def state(self, applicant):
        return fine(applicant.http.get(f"/api/models/{self.repo}/access-request"))["state"]

    def holders(self):
        """Who has an open review, with its id: (person, id, kind), but for calibration cases, which come by lot."""
        found = []
        with contextlib.closing(sqlite3.connect(self.hub.data / "cairn.db")) as db:
            calibration = {key for key, in db.execute("SELECT key FROM review_assignment WHERE slot = 5")}
        for person in [*self.people.values(), self.owner]:
            for one in reviews(person):
                if one["state"] == "open" and one["id"] not in calibration:
                    found.append((person, one["id"], one["kind"]))
        return found

    def holder(self, kind="review"):
        mine = [(person, key) for person, key, what in self.holders() if what == kind]
        assert len(mine) == 1, self.holders()
        return mine[0]

    def judge(self, outcome="approve", kind="review", **more):
        """Whoever has the case decides it; returns who that was."""
        person, key = self.holder(kind)
        fine(file(person, key, outcome, **more))
        return person

    def reads(self, person):
        answer = person.http.get(f"/{self.repo}/resolve/main/model.bin")
        self.told = answer.text  # shown by pytest when it is not what was expected
        return answer.status_code


def reviews(person):
    return fine(person.http.get("/api/reviews"))


def page(person, key):
    return fine(person.http.get(f"/api/reviews/{key}"))


def file(person, key, outcome="approve", **more):
    scores = GOOD if outcome == "approve" else BAD
    codes = ["meets-criteria"] if outcome == "approve" else ["purpose-unclear"]
    return person.http.post(f"/api/reviews/{key}", json={"scores": scores, "outcome": outcome, "reasonCodes": codes, **more})


def shape(value):
    """A value with its kinds of members, without what stands in them."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def notices(person, kind=None):
    return [one for one in fine(person.http.get("/api/notices")) if kind in (None, one["kind"])]


def leaks(value, secrets=SECRETS):
    text = json.dumps(value).lower()
    return [secret for secret in secrets if secret.lower() in text]
