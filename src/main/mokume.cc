// The tool: looks at models, measures them, talks to them.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>

#include "base/log.h"
#include "cli/bench.h"
#include "cli/chat.h"
#include "cli/devices.h"
#include "cli/eval.h"
#include "cli/eval_expected.h"
#include "cli/inspect.h"
#include "cli/quantize.h"
#include "cli/synthesize.h"
#include "mokume/version.h"
#include "quantize/synthetic_model.h"

namespace mokume {
namespace {

bool on_terminal() { return isatty(STDERR_FILENO) == 1; }

/// Where what runs: a model on one CPU device, or a whole configuration.
struct Target {
  std::string model, config, kv_cache_dtype = "auto";
  int threads = 0;

  void add_to(CLI::App& command) {
    auto* model_option = command.add_option("--model", model, "Model file, run on one CPU device");
    auto* config_option =
        command.add_option("--config", config, "Configuration file: run through its placement")
            ->excludes(model_option);
    command.add_option("--threads", threads, "CPU threads with --model (0: all cores)")
        ->check(CLI::Range(0, 1024))
        ->excludes(config_option);
    command
        .add_option("--kv-cache-dtype", kv_cache_dtype,
                    "What keys and values are kept as, with --model")
        ->check(CLI::IsMember({"auto", "fp32", "fp16", "bf16", "int16", "int8"}))
        ->excludes(config_option);
  }
  Result<Config> load() const {
    if (!config.empty()) return load_config(config);
    if (model.empty()) return invalid_argument("cli", "give --model FILE or --config FILE");
    Config made = default_config(model, threads);
    made.scheduler.kv_cache_dtype = kv_cache_dtype;
    return made;
  }
};

int finish(const Status& status) {
  if (status.ok()) return 0;
  std::cerr << "mokume: " << status.message() << '\n';
  return 1;
}

/// What the command line asked for; its parsing fills in `run`.
struct Commands {
  std::function<Status()> run;
  Target target;
  EvalOptions eval;
  BenchOptions bench;
  ChatOptions chat;
  QuantizeCommand quantize;
  SynthesizeCommand synthesize;
  std::string path, text, tokens, output, expected;
  int context = 512;
  bool json = false;
};

Status with_config(const Commands& commands, const std::function<Status(const Config&)>& body) {
  MKM_ASSIGN_OR_RETURN(const Config config, commands.target.load());
  return body(config);
}

void add_chat(CLI::App& app, Commands& c) {
  auto* command =
      app.add_subcommand("chat", "Talk to a model: a question a line, until the end of input");
  c.target.add_to(*command);
  command->add_option("--system", c.chat.system, "System message");
  command->add_option("--temperature", c.chat.temperature, "0: always the likeliest token");
  command->add_option("--seed", c.chat.seed, "Same seed, same answers");
  command->add_option("--max-tokens", c.chat.max_tokens, "Longest answer");
  command->callback([&c] {
    c.run = [&c] {
      return with_config(c, [&](const Config& config) {
        c.chat.config = config;
        c.chat.prompt = isatty(STDIN_FILENO) == 1;
        c.chat.progress = on_terminal();
        return run_chat(c.chat, std::cin, std::cout);
      });
    };
  });
}

void add_devices(CLI::App& app, Commands& c) {
  auto* command = app.add_subcommand("devices", "List what this machine could run a model on");
  command->add_flag("--json", c.json, "One JSON object");
  command->callback([&c] { c.run = [&c] { return run_devices(c.json, std::cout); }; });
}

void add_inspect(CLI::App& app, Commands& c) {
  auto* command =
      app.add_subcommand("inspect", "Print what a model file holds and what it takes to run");
  command->add_option("MODEL", c.path, "GGUF file or Hugging Face directory")->required();
  command->add_flag("--json", c.json, "One JSON object");
  command->callback([&c] { c.run = [&c] { return run_inspect(c.path, c.json, std::cout); }; });
}

void add_quantize(CLI::App& app, Commands& c) {
  auto* command = app.add_subcommand("quantize", "Write a model in another format");
  command->add_option("IN", c.quantize.input, "GGUF file or Hugging Face directory")->required();
  command
      ->add_option("OUT", c.quantize.output,
                   "GGUF file if it ends in .gguf, otherwise a Hugging Face directory")
      ->required();
  command
      ->add_option("--format", c.quantize.format,
                   "fp16, bf16, nvfp4; int8 (directories), q8_0 (GGUF)")
      ->required();
  command->add_option("--calibrate", c.quantize.calibrate,
                      "UTF-8 text: nvfp4 with the least error under its activations");
  command
      ->add_option("--calibration-tokens", c.quantize.calibration_tokens,
                   "At most so many tokens of that text")
      ->check(CLI::Range(1, 1 << 22));
  command->add_option("--report", c.quantize.report,
                      "Folder for report.json and report.html: sizes, errors, perplexities");
  command->add_option("--text", c.quantize.text, "UTF-8 text for the report's perplexities");
  command->add_option("--context", c.quantize.context, "Tokens of a chunk of that text")
      ->check(CLI::Range(4, 1 << 20));
  command->add_option("--threads", c.quantize.threads, "CPU threads (0: all cores)")
      ->check(CLI::Range(0, 1024));
  command->add_flag("--json", c.json, "One JSON object");
  command->callback([&c] {
    c.run = [&c] {
      c.quantize.json = c.json;
      c.quantize.progress = !c.json && on_terminal();
      return run_quantize(c.quantize, std::cout);
    };
  });
}

void add_synthesize(CLI::App& app, Commands& c) {
  auto* command = app.add_subcommand("synthesize",
                                     "Write a checkpoint of a published shape with random weights");
  command->add_option("--like", c.synthesize.shape, known_shapes())->required();
  command
      ->add_option("OUT", c.synthesize.output,
                   "GGUF file if it ends in .gguf, otherwise a Hugging Face directory")
      ->required();
  command->add_option("--format", c.synthesize.format,
                      "nvfp4 (as without), fp16, bf16; int8 (directories), q8_0 (GGUF)");
  command->add_option("--seed", c.synthesize.seed, "Same seed, same bytes");
  command->add_option("--layers", c.synthesize.layers, "Only so many layers (0: all)");
  command->add_option("--threads", c.synthesize.threads, "CPU threads (0: all cores)")
      ->check(CLI::Range(0, 1024));
  command->add_flag("--json", c.json, "One JSON object");
  command->callback([&c] {
    c.run = [&c] {
      c.synthesize.json = c.json;
      c.synthesize.progress = !c.json && on_terminal();
      return run_synthesize(c.synthesize, std::cout);
    };
  });
}

void add_eval_options(CLI::App& command, Commands& c) {
  c.target.add_to(command);
  command.add_flag("--exact", c.eval.exact, "Activations and KV in F32 (weights as stored)");
  command.add_flag("--json", c.json, "One JSON object");
}

Status run_eval(Commands& c, const std::function<Status(const EvalOptions&)>& body) {
  return with_config(c, [&](const Config& config) {
    c.eval.config = config;
    c.eval.json = c.json;
    c.eval.progress = !c.json && on_terminal();
    return body(c.eval);
  });
}

void add_eval(CLI::App& app, Commands& c) {
  auto* eval = app.add_subcommand("eval", "How right a model's answers are");
  eval->require_subcommand(1);
  auto* perplexity = eval->add_subcommand("perplexity", "Perplexity of a text");
  add_eval_options(*perplexity, c);
  perplexity->add_option("--text", c.text, "UTF-8 text")->required();
  perplexity->add_option("--context", c.context, "Tokens of a chunk")
      ->check(CLI::Range(4, 1 << 20));
  perplexity->callback([&c] {
    c.run = [&c] {
      return run_eval(c, [&](const EvalOptions& o) {
        return eval_perplexity(o, c.text, c.context, std::cout);
      });
    };
  });
  auto* logits = eval->add_subcommand(
      "logits",
      "Write the logits after every token of a sequence, or compare them with saved ones");
  add_eval_options(*logits, c);
  logits->add_option("--tokens", c.tokens, "JSON array of token ids");
  logits->add_option("--output", c.output,
                     "Write a safetensors file with one F32 tensor, logits [tokens, vocab]");
  auto* expected = logits->add_option(
      "--expected", c.expected,
      "Compare with a safetensors file: prompt I64 [T], logits F32 [T, vocab]; and greedy I64 [N], "
      "greedy_logits F32 [N, vocab] if there");
  expected->excludes("--tokens")->excludes("--output");
  logits->callback([&c] {
    c.run = [&c] {
      return run_eval(c, [&](const EvalOptions& o) {
        if (!c.expected.empty()) return eval_expected(o, c.expected, std::cout);
        if (c.tokens.empty() || c.output.empty()) {
          return invalid_argument("eval", "give --tokens and --output, or --expected");
        }
        return eval_logits(o, c.tokens, c.output, std::cout);
      });
    };
  });
}

void add_bench(CLI::App& app, Commands& c) {
  auto* command = app.add_subcommand("bench", "Measure prompt and decode speed");
  c.target.add_to(*command);
  command->add_option("--prompt", c.bench.prompt, "Tokens of each prompt")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--generate", c.bench.generate, "Tokens to generate")
      ->check(CLI::Range(2, 1 << 20));
  command->add_option("--sequences", c.bench.sequences, "Sequences at once")
      ->check(CLI::Range(1, 4096));
  command->add_flag("--memory", c.bench.memory,
                    "Measure what memory reads and int8 dot products reach around each round, "
                    "and decode's and the prompt's share of them");
  command->add_option("--repeat", c.bench.repeat, "Measured rounds")->check(CLI::Range(1, 1000));
  command->add_flag("--json", c.json, "One JSON object");
  command->callback([&c] {
    c.run = [&c] {
      return with_config(c, [&](const Config& config) {
        c.bench.config = config;
        c.bench.json = c.json;
        c.bench.progress = !c.json && on_terminal();
        return run_bench(c.bench, std::cout);
      });
    };
  });
}

int run(int argc, char** argv) {
  CLI::App app("mokume: look at, measure and talk to language models");
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(1);
  Commands commands;
  add_chat(app, commands);
  add_devices(app, commands);
  add_inspect(app, commands);
  add_quantize(app, commands);
  add_synthesize(app, commands);
  add_eval(app, commands);
  add_bench(app, commands);
  CLI11_PARSE(app, argc, argv);
  if (const Status status = init_logging("warn", "text"); !status.ok()) return finish(status);
  return finish(commands.run());
}

}  // namespace
}  // namespace mokume

int main(int argc, char** argv) { return mokume::run(argc, argv); }
