"""One measured round of llama.cpp, through the Python package's C API; prints JSON as `mokume bench` does.

usage: llama_cpp_round.py MODEL PROMPT GENERATE THREADS
"""

import ctypes
import json
import sys
import time

import llama_cpp as llama


def decode(context, ids: list[int]) -> None:
    array = (llama.llama_token * len(ids))(*ids)
    if llama.llama_decode(context, llama.llama_batch_get_one(array, len(ids))) != 0:
        sys.exit("llama_decode failed")
    llama.llama_synchronize(context)


def measure(context, prompt: list[int], generate: int) -> tuple[float, float]:
    """Seconds for the prompt, and for `generate` - 1 tokens after the first."""
    llama.llama_memory_clear(llama.llama_get_memory(context), True)
    start = time.perf_counter()
    decode(context, prompt)
    middle = time.perf_counter()
    for i in range(generate - 1):
        decode(context, [prompt[i % len(prompt)]])
    return middle - start, time.perf_counter() - middle


def main(path: str, prompt_length: int, generate: int, threads: int) -> None:
    quiet = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(quiet, ctypes.c_void_p(0))
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    if not model:
        sys.exit(f"cannot load {path}")
    params = llama.llama_context_default_params()
    params.n_ctx = prompt_length + generate
    params.n_batch = params.n_ubatch = max(512, prompt_length)
    params.n_threads = params.n_threads_batch = threads
    context = llama.llama_init_from_model(model, params)
    vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    prompt = [(i * 7919 + 11) % vocab for i in range(prompt_length)]
    measure(context, prompt, generate)
    prompt_seconds, decode_seconds = measure(context, prompt, generate)
    rates = {"prompt": prompt_length / prompt_seconds, "decode": (generate - 1) / decode_seconds}
    print(json.dumps({f"{key}_tokens_per_second": {"median": rate} for key, rate in rates.items()}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
