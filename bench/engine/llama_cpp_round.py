"""One measured round of llama.cpp, through the Python package's C API."""

import ctypes
import time

import engine_round

BASE = engine_round.memory()

import llama_cpp as llama  # noqa: E402  (BASE is of the interpreter alone)

errors: list[str] = []


@llama.llama_log_callback
def on_log(level, text, _data):
    if level >= 4:  # GGML_LOG_LEVEL_ERROR
        errors.append(text.decode(errors="replace"))


class Batch:
    """A llama_batch of some tokens of some sequences."""

    def __init__(self, capacity: int):
        self.batch = llama.llama_batch_init(capacity, 0, 1)

    def decode(self, context, entries: list[tuple[int, int, int, bool]]) -> None:
        """Entries of (token, position, sequence, whether its logits are wanted)."""
        self.batch.n_tokens = len(entries)
        for i, (token, position, sequence, logits) in enumerate(entries):
            self.batch.token[i], self.batch.pos[i] = token, position
            self.batch.n_seq_id[i], self.batch.seq_id[i][0], self.batch.logits[i] = 1, sequence, logits
        if llama.llama_decode(context, self.batch) != 0:
            raise RuntimeError("llama_decode failed")
        llama.llama_synchronize(context)


def load(options):
    llama.llama_log_set(on_log, ctypes.c_void_p(0))
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(options.model.encode(), llama.llama_model_default_params())
    if not model:
        engine_round.refuse(errors[0] if errors else "no reason given")
    params = llama.llama_context_default_params()
    params.n_ctx = (options.prompt + options.generate) * options.sequences
    params.n_seq_max = options.sequences
    params.n_batch = params.n_ubatch = max(512, options.prompt)
    params.n_threads = params.n_threads_batch = options.threads
    context = llama.llama_init_from_model(model, params)
    if not context:
        engine_round.refuse(errors[0] if errors else "no context")
    return model, context


def measure(context, prompts: list[list[int]], generate: int) -> tuple[float, float]:
    """Seconds until every prompt is through, then for `generate` - 1 more tokens of each."""
    llama.llama_memory_clear(llama.llama_get_memory(context), True)
    batch = Batch(max(len(prompts[0]), len(prompts)))
    start = time.perf_counter()
    for s, prompt in enumerate(prompts):
        batch.decode(context, [(token, i, s, i + 1 == len(prompt)) for i, token in enumerate(prompt)])
    middle = time.perf_counter()
    for i in range(generate - 1):
        batch.decode(context, [(p[i % len(p)], len(p) + i, s, True) for s, p in enumerate(prompts)])
    return middle - start, time.perf_counter() - middle


def main() -> None:
    options = engine_round.parse_options()
    model, context = load(options)
    ready = engine_round.seconds_since_start()
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    for number in range(2):
        seconds = measure(context, engine_round.prompts(options, vocabulary, number), options.generate)
    engine_round.report(options, seconds, ready, BASE)


if __name__ == "__main__":
    main()
