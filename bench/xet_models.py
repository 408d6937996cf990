# SPDX-License-Identifier: GPL-3.0-or-later
"""Model files as people make them: safetensors of Gaussian weights, fine-tunes, quantisations, shards. Noise that nobody trained,
so what is saved is saved by structure alone."""

import json

import numpy as np

LAYERS, WORDS = 12, 8000
MATRICES = {"self_attn.q_proj": (1, 1), "self_attn.k_proj": (1, 1), "self_attn.v_proj": (1, 1), "self_attn.o_proj": (1, 1),
            "mlp.up_proj": (4, 1), "mlp.down_proj": (1, 4)}  # in units of the width
TYPES = {"float32": "F32", "uint16": "BF16", "float16": "F16", "int8": "I8", "uint8": "U8"}


def gaussian(random, shape):
    return random.standard_normal(shape, dtype=np.float32) * np.float32(shape[-1] ** -0.5)


def layer(random, number, width):
    return {f"model.layers.{number}.{name}.weight": gaussian(random, (high * width, wide * width))
            for name, (high, wide) in MATRICES.items()}


def model(seed, width):
    """float32 tensors by name."""
    random = np.random.default_rng(seed)
    tensors = {"model.embed_tokens.weight": gaussian(random, (WORDS, width))}
    for number in range(LAYERS):
        tensors |= layer(random, number, width)
    return tensors


def trained(tensors, seed, width, layers):
    """A fine-tune: these layers moved a little, the others frozen."""
    random, changed = np.random.default_rng(seed), dict(tensors)
    for number in layers:
        for name, step in layer(random, number, width).items():
            changed[name] = tensors[name] + step * np.float32(0.01)
    return changed


def bf16(tensors):
    """As uint16: numpy has no bfloat16."""
    return {name: (tensor.view(np.uint32) + 0x8000 >> 16).astype(np.uint16) for name, tensor in tensors.items()}


def int8(name, tensor):
    """A scale for each row."""
    scale = np.abs(tensor).max(axis=1, keepdims=True) / 127
    return {name: np.rint(tensor / scale).astype(np.int8), f"{name}_scale": scale}


def int4(name, tensor):
    """A scale for each 32 weights, two weights in a byte."""
    blocks = tensor.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 7
    digits = (np.rint(blocks / scale) + 8).astype(np.uint8).reshape(-1, 2)
    return {name: digits[:, 0] | digits[:, 1] << 4, f"{name}_scale": scale.astype(np.float16)}


def quantised(tensors, pack):
    """pack(name) says how; the embeddings stay bfloat16, as is usual."""
    out = {}
    for name, tensor in tensors.items():
        out |= bf16({name: tensor}) if "embed" in name else pack(name)(name, tensor)
    return out


def mixed(name):
    """As quantisations of better quality do: the matrices that matter most with more bits."""
    return int8 if "v_proj" in name or "down_proj" in name else int4


def write(path, tensors):
    """A safetensors file, its tensors in the order of their names. Its bytes."""
    head, at = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(tensors):
        tensor = tensors[name]
        head[name] = {"dtype": TYPES[str(tensor.dtype)], "shape": tensor.shape, "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in sorted(tensors):
            file.write(tensors[name].tobytes())
    return path


def write_shards(folder, tensors, count):
    names = sorted(tensors)
    step = -(-len(names) // count)
    for number in range(count):
        some = names[number * step:(number + 1) * step]
        write(folder / f"model-{number + 1:05}-of-{count:05}.safetensors", {name: tensors[name] for name in some})
    return folder
