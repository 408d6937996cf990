# SPDX-License-Identifier: LGPL-3.0-or-later
"""Handwritten digits with scikit-learn, trained at several places (README.md says how to start it).

    digits.py start REPO        a new repo with a model that knows nothing
    digits.py join REPO I/N     takes part, with the I-th of N parts of the data; I from 0
    digits.py try REPO          how good the model is by now
"""

import os
import sys

import numpy
from huggingface_hub import HfApi
from safetensors.numpy import load_file, save
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

import cairn.federate

URL, TOKEN = os.environ["CAIRN_URL"], os.environ["CAIRN_TOKEN"]
hub = HfApi(endpoint=URL, token=TOKEN)
digits, answers = load_digits(return_X_y=True)
digits, tests, answers, test_answers = train_test_split(digits / 16, answers, test_size=360, random_state=1)


def classifier(model):
    """scikit-learn's own object with the model's numbers in it."""
    made = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.05)
    made.partial_fit(digits[:1], answers[:1], classes=range(10))
    made.coef_[:], made.intercept_[:] = model["coef"], model["intercept"]
    return made


def train_on(mine):
    def train(model, config):
        local = classifier(model)
        for _ in range(5):
            local.partial_fit(digits[mine], answers[mine])
        return {"coef": local.coef_, "intercept": local.intercept_}, len(answers[mine])
    return train


def start(repo):
    nothing = {"coef": numpy.zeros((10, 64), numpy.float32), "intercept": numpy.zeros(10, numpy.float32)}
    hub.create_repo(repo, exist_ok=True)
    hub.upload_file(repo_id=repo, path_in_repo="model.safetensors", path_or_fileobj=save(nothing))


def join(repo, part):
    i, n = map(int, part.split("/"))
    cairn.federate.join(URL, TOKEN, repo, train_on(slice(i, None, n)), progress=print)


def try_it(repo):
    model = load_file(hub.hf_hub_download(repo, "model.safetensors"))
    print(f"accuracy on digits that nobody trained with: {classifier(model).score(tests, test_answers):.3f}")


if __name__ == "__main__":
    {"start": start, "join": join, "try": try_it}[sys.argv[1]](*sys.argv[2:])
