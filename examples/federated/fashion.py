# SPDX-License-Identifier: LGPL-3.0-or-later
"""Fashion-MNIST with PyTorch, trained at several places (README.md says how to start it).

    fashion.py start REPO       a new repo with a model that knows nothing
    fashion.py join REPO I/N    takes part, with the I-th of N parts of the data; I from 0
    fashion.py try REPO         how good the model is by now
"""

import gzip
import os
import sys

import numpy
import torch
from huggingface_hub import HfApi
from safetensors.torch import load_file, save

import cairn.federate

URL, TOKEN = os.environ["CAIRN_URL"], os.environ["CAIRN_TOKEN"]
DATA = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
hub = HfApi(endpoint=URL, token=TOKEN)


def network():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(16, 32, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(32 * 7 * 7, 10))


def images(which):
    def numbers(name, head):
        with gzip.open(f"{DATA}/{which}-{name}-ubyte.gz") as file:
            return numpy.frombuffer(file.read(), numpy.uint8)[head:]
    pictures = torch.from_numpy(numbers("images-idx3", 16).reshape(-1, 1, 28, 28).astype(numpy.float32) / 255)
    return pictures, torch.from_numpy(numbers("labels-idx1", 8).astype(numpy.int64))


def train_on(pictures, answers):
    local = network()

    def train(model, config):
        local.load_state_dict({name: torch.from_numpy(values) for name, values in model.items()})
        optimiser = torch.optim.SGD(local.parameters(), lr=0.05, momentum=0.9)
        for batch in torch.randperm(len(answers)).split(32):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(local(pictures[batch]), answers[batch]).backward()
            optimiser.step()
        return {name: values.numpy() for name, values in local.state_dict().items()}, len(answers)
    return train


def start(repo):
    hub.create_repo(repo, exist_ok=True)
    hub.upload_file(repo_id=repo, path_in_repo="model.safetensors", path_or_fileobj=save(network().state_dict()))


def join(repo, part):
    i, n = map(int, part.split("/"))
    pictures, answers = images("train")
    cairn.federate.join(URL, TOKEN, repo, train_on(pictures[i::n], answers[i::n]), progress=print)


def try_it(repo):
    local = network()
    local.load_state_dict(load_file(hub.hf_hub_download(repo, "model.safetensors")))
    pictures, answers = images("t10k")
    with torch.no_grad():
        right = (local(pictures).argmax(1) == answers).float().mean().item()
    print(f"accuracy on pictures that nobody trained with: {right:.3f}")


if __name__ == "__main__":
    {"start": start, "join": join, "try": try_it}[sys.argv[1]](*sys.argv[2:])
