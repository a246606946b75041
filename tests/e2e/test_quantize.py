"""mokume quantize: what it writes means the same to mokume, to the formats' definitions and to compressed-tensors.

The library is not among what the tests need: with MOKUME_COMPRESSED_TENSORS_PYTHON set to a Python that has
compressed-tensors, transformers and torch, one test opens the directories with it; without, that one is skipped.
"""

import array
import json
import os
import struct
import subprocess
from pathlib import Path

import pytest

from daemon import BIN, MODEL_FILE, ROOT

LIBRARY = os.environ.get("MOKUME_COMPRESSED_TENSORS_PYTHON")
E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]
TINY = ["tiny-llama", "tiny-qwen2", "tiny-qwen3", "tiny-qwen3_5"]


def mokume(*arguments, timeout: float = 250, status: int = 0):
    result = subprocess.run([str(BIN / "mokume"), *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
                            timeout=timeout, stdin=subprocess.DEVNULL)
    assert result.returncode == status, result.stderr
    return result.stdout if status == 0 else result.stderr


def read_safetensors(path: Path) -> dict:
    """Name -> (dtype, shape, bytes)."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    return {name: (info["dtype"], info["shape"], data[8 + size + info["data_offsets"][0] : 8 + size + info["data_offsets"][1]])
            for name, info in header.items()}


def floats(data: bytes) -> array.array:
    values = array.array("f")
    values.frombytes(data)
    return values


def e4m3(byte: int) -> float:
    exponent, mantissa = byte >> 3 & 15, byte & 7
    value = mantissa * 2.0**-9 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)
    return -value if byte & 0x80 else value


def dequantized(tensors: dict, layer: str) -> array.array:
    """float32, each operation rounded once: products and quotients of float32 are exact enough in double for that."""
    if f"{layer}.weight_packed" not in tensors:
        _, (rows, columns), data = tensors[f"{layer}.weight"]
        scales = floats(tensors[f"{layer}.weight_scale"][2])
        values = struct.unpack(f"{rows * columns}b", data)
        return array.array("f", (values[i] * scales[i // columns] for i in range(rows * columns)))
    packed = tensors[f"{layer}.weight_packed"][2]
    whole = floats(tensors[f"{layer}.weight_global_scale"][2])[0]
    scales = array.array("f", (e4m3(byte) / whole for byte in tensors[f"{layer}.weight_scale"][2]))
    nibbles = (byte >> shift & 15 for byte in packed for shift in (0, 4))
    return array.array("f", (E2M1[nibble] * scales[i // 16] for i, nibble in enumerate(nibbles)))


def quantized_layers(tensors: dict) -> list[str]:
    return sorted(name.removesuffix(".weight_scale") for name in tensors if name.endswith(".weight_scale"))


@pytest.mark.parametrize("name", ["tiny-qwen3", "tiny-qwen3_5"])
@pytest.mark.parametrize("form, bound", [("int8", 0.02), ("nvfp4", 0.13)])
def test_directory_holds_the_weights(tmp_path, name, form, bound):
    """By the formats' definitions alone, with no code of ours: near the source's weights."""
    source = ROOT / "tests/data/hf" / name
    mokume("quantize", source, tmp_path / "out", "--format", form)
    tensors = read_safetensors(tmp_path / "out/model.safetensors")
    original = read_safetensors(source / "model.safetensors")
    ignored = json.loads((tmp_path / "out/config.json").read_text())["quantization_config"]["ignore"]
    layers = quantized_layers(tensors)
    assert len(layers) >= 35 and not set(layers) & set(ignored)
    for layer in layers:
        wanted, found = floats(original[f"{layer}.weight"][2]), dequantized(tensors, layer)
        assert len(wanted) == len(found)
        error = sum((a - b) ** 2 for a, b in zip(wanted, found)) / sum(a * a for a in wanted)
        assert error**0.5 < bound, layer
        if form == "int8":
            assert tensors[f"{layer}.weight_scale"][1] == [tensors[f"{layer}.weight"][1][0], 1]


def logits(model: Path, ids: Path) -> array.array:
    output = ids.parent / "logits"
    mokume("eval", "logits", "--exact", "--model", model, "--tokens", ids, "--output", output)
    return floats(read_safetensors(output)["logits"][2])


@pytest.mark.parametrize("name", TINY)
def test_logits_survive_the_ways_around(tmp_path, name):
    """Directory -> GGUF -> directory -> GGUF: near transformers' logits, as F16 has it, and the same ones each time."""
    mokume("quantize", ROOT / "tests/data/hf" / name, tmp_path / "a.gguf", "--format", "fp16")
    mokume("quantize", tmp_path / "a.gguf", tmp_path / "b", "--format", "fp16")
    mokume("quantize", tmp_path / "b", tmp_path / "c.gguf", "--format", "fp16")
    expected = read_safetensors(ROOT / "tests/data/hf" / name / "expected.safetensors")
    prompt = list(struct.unpack(f"<{expected['prompt'][1][0]}q", expected["prompt"][2]))
    (tmp_path / "ids.json").write_text(json.dumps(prompt))
    wanted = floats(expected["logits"][2])
    spread = (sum(x * x for x in wanted) / len(wanted)) ** 0.5
    first = logits(tmp_path / "a.gguf", tmp_path / "ids.json")
    error = (sum((a - b) ** 2 for a, b in zip(wanted, first)) / len(wanted)) ** 0.5
    assert error < 0.06 * spread  # the hybrid's random weights make much of rounding
    for model in ("b", "c.gguf"):
        again = logits(tmp_path / model, tmp_path / "ids.json")
        assert max(abs(a - b) for a, b in zip(first, again)) < (5e-3 if name == "tiny-qwen3_5" else 1e-3), model


def test_real_model_keeps_its_tokenizer(tmp_path):
    summary = json.loads(mokume("quantize", MODEL_FILE, tmp_path / "out", "--format", "int8", "--json"))
    assert summary["tokenizer"] and 1.4 < summary["bytes_after"] / summary["bytes_before"] < 2
    mokume("quantize", tmp_path / "out", tmp_path / "again.gguf", "--format", "q8_0")
    text = tmp_path / "text"
    text.write_text("The quick brown fox jumps over 13 lazy dogs, doesn't it?\n" * 20)
    results = [json.loads(mokume("eval", "perplexity", "--model", model, "--text", text, "--context", 128, "--json"))
               for model in (MODEL_FILE, tmp_path / "out", tmp_path / "again.gguf")]
    assert len({result["tokens_scored"] for result in results}) == 1, "cut into other tokens"
    for result in results[1:]:
        assert abs(result["perplexity"] / results[0]["perplexity"] - 1) < 0.1


def test_refusals_leave_nothing(tmp_path):
    source = ROOT / "tests/data/hf/tiny-llama"
    assert "q8_0" in mokume("quantize", source, tmp_path / "out", "--format", "q8_0", status=1)
    assert "--format" in mokume("quantize", source, tmp_path / "out", "--format", "int7", status=1)
    mokume("quantize", ROOT / "README.md", tmp_path / "out", "--format", "fp16", status=1)
    assert not list(tmp_path.iterdir())
    mokume("quantize", source, tmp_path / "out", "--format", "fp16")
    assert "there already" in mokume("quantize", source, tmp_path / "out", "--format", "fp16", status=1)


# The library unpacks NVFP4 into bfloat16; its own dequantize() gives float32 when it is handed float32.
OPEN = """
import array, json, sys, torch
from compressed_tensors.compressors import decompress_module
from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
from compressed_tensors.quantization.lifecycle.forward import dequantize
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
for name, module in model.named_modules():
    scheme = getattr(module, "quantization_scheme", None)
    if scheme is None:
        continue
    packed = getattr(module, "weight_packed", None)
    if packed is not None:
        values = unpack_fp4_from_uint8(packed, packed.shape[0], packed.shape[1] * 2).float()
        weight = dequantize(values, module.weight_scale.float(), args=scheme.weights, dtype=torch.float32,
                            global_scale=module.weight_global_scale)
        half = weight.bfloat16()
    decompress_module(module)
    if packed is not None:
        assert torch.equal(module.weight.bfloat16(), half), name
    else:
        weight = module.weight
    assert weight.dtype == torch.float32, weight.dtype
    weight.detach().numpy().tofile(sys.argv[2] + "/" + name)
"""


@pytest.mark.skipif(not LIBRARY, reason="MOKUME_COMPRESSED_TENSORS_PYTHON names no Python with compressed-tensors")
@pytest.mark.parametrize("form", ["int8", "nvfp4"])
@pytest.mark.parametrize("source", ["tests/data/hf/tiny-qwen3_5", "tests/data/hf/tiny-qwen3"])
def test_compressed_tensors_reads_the_same_numbers(tmp_path, source, form):
    mokume("quantize", ROOT / source, tmp_path / "out", "--format", form)
    dump = tmp_path / "dump"
    dump.mkdir()
    subprocess.run([LIBRARY, "-c", OPEN, str(tmp_path / "out"), str(dump)], check=True, timeout=250)
    tensors = read_safetensors(tmp_path / "out/model.safetensors")
    layers = quantized_layers(tensors)
    assert sorted(path.name for path in dump.iterdir()) == layers
    for layer in layers:
        assert (dump / layer).read_bytes() == dequantized(tensors, layer).tobytes(), layer
