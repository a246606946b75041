"""One measured round of OpenVINO GenAI, which reads GGUF files itself.

One sequence goes through LLMPipeline as it comes; several go through ContinuousBatchingPipeline, all prompts at once.
"""

import time

import engine_round

BASE = engine_round.memory()

import numpy  # noqa: E402  (BASE is of the interpreter alone)
import openvino  # noqa: E402
import openvino_genai as genai  # noqa: E402

VOCABULARY = 32000  # ids that every model measured here has


def generation(options) -> genai.GenerationConfig:
    config = genai.GenerationConfig()
    config.max_new_tokens = config.min_new_tokens = options.generate
    config.ignore_eos = True
    config.do_sample = False
    return config


def load(options):
    properties = {"INFERENCE_NUM_THREADS": options.threads}
    try:
        if options.sequences == 1:
            return genai.LLMPipeline(options.model, "CPU", **properties)
        scheduler = genai.SchedulerConfig()
        scheduler.max_num_seqs = max(scheduler.max_num_seqs, options.sequences)
        scheduler.enable_prefix_caching = False
        return genai.ContinuousBatchingPipeline(options.model, scheduler, "CPU", properties)
    except (RuntimeError, ValueError, LookupError) as error:
        engine_round.refuse(f"{type(error).__name__}: {error}")


def measure_one(pipeline, options, prompt: list[int]) -> tuple[float, float]:
    ids = openvino.Tensor(numpy.array([prompt], dtype=numpy.int64))
    start = time.perf_counter()
    result = pipeline.generate(ids, generation(options))
    total = time.perf_counter() - start
    metrics = result.perf_metrics
    if (metrics.get_num_input_tokens(), metrics.get_num_generated_tokens()) != (options.prompt, options.generate):
        raise RuntimeError("not as many tokens as asked for")
    first = metrics.get_ttft().mean / 1e3
    return first, total - first


class FirstTokens:
    """ContinuousBatchingPipeline has no figures of single sequences: steps them by hand to see each one's tokens."""

    def __init__(self, pipeline, options, prompts: list[list[int]]):
        self.pipeline = pipeline
        self.start = time.perf_counter()
        config = generation(options)
        self.handles = [pipeline.add_request(s, openvino.Tensor(numpy.array([p], dtype=numpy.int64)), config)
                        for s, p in enumerate(prompts)]
        self.counts = [0] * len(prompts)

    def run(self) -> tuple[float, float]:
        first = 0.0
        while self.pipeline.has_non_finished_requests():
            self.pipeline.step()
            for s, handle in enumerate(self.handles):
                if handle.can_read():
                    self.counts[s] += sum(len(output.generated_ids) for output in handle.read().values())
            if first == 0.0 and all(self.counts):
                first = time.perf_counter() - self.start
        return first, time.perf_counter() - self.start - first


def measure_several(pipeline, options, prompts: list[list[int]]) -> tuple[float, float]:
    run = FirstTokens(pipeline, options, prompts)
    seconds = run.run()
    if run.counts != [options.generate] * options.sequences:
        raise RuntimeError(f"not as many tokens as asked for: {run.counts}")
    return seconds


def main() -> None:
    options = engine_round.parse_options()
    pipeline = load(options)
    ready = engine_round.seconds_since_start()
    for number in range(2):
        prompts = engine_round.prompts(options, VOCABULARY, number)
        if options.sequences == 1:
            seconds = measure_one(pipeline, options, prompts[0])
        else:
            seconds = measure_several(pipeline, options, prompts)
    engine_round.report(options, seconds, ready, BASE)


if __name__ == "__main__":
    main()
