// Every way a file can be wrong, with the whole message that says so.
#include <gtest/gtest.h>

#include "config/config.h"

namespace mokume {
namespace {

struct Case {
  const char* name;
  std::string yaml;
  const char* message;
};

class ConfigErrors : public testing::TestWithParam<Case> {};

TEST_P(ConfigErrors, AreSaidInFull) {
  const Result<Config> config = parse_config(GetParam().yaml, "f.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(config.status().message()), GetParam().message);
}

const std::string kModel = "model: {path: a.gguf}\n";
const std::string kDevices =
    kModel + "devices: [{name: cpu0, kind: cpu}, {name: cpu1, kind: cpu}]\n";

std::string repeat(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(
    Document, ConfigErrors,
    testing::Values(
        Case{"Empty", "",
             "[config] the file is empty; at least model: {path: ...} is wanted (f.yaml)"},
        Case{"OnlyComments", "# nothing\n",
             "[config] the file is empty; at least model: {path: ...} is wanted (f.yaml)"},
        Case{"ListAsRoot", "\n- a\n",
             "[config] the file is a list; a section of keys is wanted, such as {model: ...} "
             "(f.yaml:2)"},
        Case{"TextAsRoot", "hello",
             "[config] the file is the text \"hello\"; a section of keys is wanted, such as "
             "{model: ...} (f.yaml:1)"},
        Case{"TwoDocuments", kModel + "---\n" + kModel,
             "[config] the file holds a second YAML document; one is wanted (f.yaml:2)"},
        Case{"DuplicateKey", kModel + "log: {level: info}\nlog: {level: warn}\n",
             "[config] key \"log\" is given twice, first in line 2 (f.yaml:3)"},
        Case{"DuplicateKeyDeepInside", "model:\n  path: a\n  \"path\": b\n",
             "[config] key \"path\" is given twice, first in line 2 (f.yaml:3)"},
        Case{"DuplicateUnknownKey", "x: {y: 1,\n y: 2}",
             "[config] key \"y\" is given twice, first in line 1 (f.yaml:2)"},
        Case{"ComplexKey", "? [a]\n: b\n", "[config] a key must be a plain word (f.yaml:1)"},
        Case{"NullKey", "~: b\n", "[config] a key must be a plain word (f.yaml:1)"},
        Case{"Alias", "model: &m {path: a}\nlog: *m\n",
             "[config] YAML aliases (*name) are not supported; write the value out (f.yaml:2)"},
        Case{
            "Tag", "model: {path: !!binary aGk=}",
            "[config] YAML tags are not supported; remove \"tag:yaml.org,2002:binary\" (f.yaml:1)"},
        Case{"Syntax", "model: {path: a\nlog: [\n",
             "[config] not valid YAML: end of map flow not found (f.yaml:2)"},
        Case{"Tab", "model:\n\tpath: a\n", "[config] not valid YAML: illegal map value (f.yaml:2)"},
        Case{"UnknownAnchor", "a: *b",
             "[config] not valid YAML: the referenced anchor is not defined (f.yaml:1)"},
        Case{"TooDeepFlow", repeat("[", 1000) + repeat("]", 1000),
             "[config] values are nested more than 32 deep (f.yaml:1)"},
        Case{"TooDeepMaps", repeat("{a: ", 1000) + repeat("}", 1000),
             "[config] values are nested more than 32 deep (f.yaml:1)"},
        Case{"TooDeepBlock", repeat("- ", 1000),
             "[config] values are nested more than 32 deep (f.yaml:1)"},
        Case{"TooDeepKeys", repeat("? ", 1000), "[config] a key must be a plain word (f.yaml:1)"},
        Case{"TooManyValues", repeat("[", 1) + repeat("a,", 30000) + "]",
             "[config] the file holds more than 20000 values (f.yaml:1)"},
        Case{"TooLarge", std::string((1 << 20) + 1, '#'),
             "[config] the file is larger than 1.0 MiB (f.yaml)"},
        Case{"InvalidUtf8", "model:\n  path: a\xFF\n",
             "[config] the file is not plain UTF-8 text (f.yaml:2)"},
        Case{"Utf16", std::string("\xFF\xFEm\0o\0", 6),
             "[config] the file is not plain UTF-8 text (f.yaml:1)"},
        Case{"ZeroByte", std::string("model:\n\n\0", 9),
             "[config] the file is not plain UTF-8 text (f.yaml:3)"},
        Case{"EscapeCharacter", "a: \x1B[31m",
             "[config] the file is not plain UTF-8 text (f.yaml:1)"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Keys, ConfigErrors,
    testing::Values(
        Case{"NearestAtRoot", kModel + "sheduler: {}\n",
             "[config] unknown key \"sheduler\"; did you mean \"scheduler\"? (f.yaml:2)"},
        Case{"NearestInDevice", kModel + "devices:\n  - {name: a, kind: cpu,\n     thread: 1}\n",
             "[config] unknown key \"thread\" in devices[0]; did you mean \"threads\"? (f.yaml:4)"},
        Case{"NearestDeep", kModel + "scheduler:\n  kv_cache: {memroy: 1GiB}\n",
             "[config] unknown key \"memroy\" in scheduler.kv_cache; did you mean \"memory\"? "
             "(f.yaml:3)"},
        Case{"LetterCase", kModel + "LOG: {}\n",
             "[config] unknown key \"LOG\"; did you mean \"log\"? (f.yaml:2)"},
        Case{"NothingNear", kModel + "zzzzzzzz: 1\n",
             "[config] unknown key \"zzzzzzzz\"; known keys: model, server, devices, placement, "
             "scheduler, log (f.yaml:2)"},
        Case{"MergeKey", "<<: {path: a}\n",
             "[config] unknown key \"<<\"; known keys: model, server, devices, placement, "
             "scheduler, log (f.yaml:1)"},
        Case{"NoModel", "log: {}", "[config] the file lacks the key \"model\" (f.yaml:1)"},
        Case{"NoPath", "\nmodel: {name: a}", "[config] model lacks the key \"path\" (f.yaml:2)"},
        Case{"EmptySection", kModel + "log:\n",
             "[config] log is empty; a section of keys is wanted, such as {level: ...} (f.yaml:2)"},
        Case{"NoListen", kModel + "server: {http: {}}",
             "[config] server.http lacks the key \"listen\" (f.yaml:2)"},
        Case{"NoStages", kModel + "placement: {}",
             "[config] placement lacks the key \"stages\" (f.yaml:2)"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Model, ConfigErrors,
    testing::Values(
        Case{"EmptyPath", "model: {path: \"\"}",
             "[config] model.path is \"\"; a path of 1 to 4096 bytes is wanted (f.yaml:1)"},
        Case{"NullPath", "model:\n  path:\n",
             "[config] model.path is empty; text is wanted, such as \"models/model.gguf\" "
             "(f.yaml:2)"},
        Case{"ZeroInPath", "model: {path: \"a\\0b\"}",
             "[config] model.path is \"a\\x00b\"; a path of 1 to 4096 bytes is wanted (f.yaml:1)"},
        Case{"NumberAsPath", "model: {path: 1.5}",
             "[config] model.path is the number 1.5; text is wanted, such as \"models/model.gguf\" "
             "(f.yaml:1)"},
        Case{"ListAsPath", "model: {path: [a]}",
             "[config] model.path is a list; text is wanted, such as \"models/model.gguf\" "
             "(f.yaml:1)"},
        Case{"BadName", "model: {path: a, name: a b}",
             "[config] model.name is \"a b\"; a name has 1 to 64 of the characters A-Z, a-z, 0-9, "
             "_, . and - (f.yaml:1)"},
        Case{"BooleanAsName", "model: {path: a, name: true}",
             "[config] model.name is the boolean true; text is wanted, such as \"my-model\" "
             "(f.yaml:1)"}),
    name_of);

std::string server(const std::string& keys) { return kModel + "server: {" + keys + "}"; }
std::string listen(const std::string& address) { return server("http: {listen: " + address + "}"); }

INSTANTIATE_TEST_SUITE_P(
    Server, ConfigErrors,
    testing::Values(
        Case{"NoAddress", server(""),
             "[config] server names no address; give http: {listen: \"127.0.0.1:8080\"}, grpc, or "
             "both (f.yaml:2)"},
        Case{"SamePort", server("http: {listen: \"[::1]:80\"}, grpc: {listen: \"[::1]:80\"}"),
             "[config] server has http and grpc both on [::1]:80; give each its own port "
             "(f.yaml:2)"},
        Case{"NoHost", listen("\":8080\""),
             "[config] server.http.listen is \":8080\"; a host is wanted: \"127.0.0.1:8080\" for "
             "this machine alone, "
             "\"0.0.0.0:8080\" for every network (f.yaml:2)"},
        Case{"OnlyPort", listen("8080"),
             "[config] server.http.listen is the number 8080; text is wanted, such as "
             "\"127.0.0.1:8080\" (f.yaml:2)"},
        Case{"NoPort", listen("\"127.0.0.1\""),
             "[config] server.http.listen is \"127.0.0.1\"; host and port are wanted, such as "
             "\"127.0.0.1:8080\" "
             "(f.yaml:2)"},
        Case{"PortTooHigh", listen("\"127.0.0.1:65536\""),
             "[config] server.http.listen is \"127.0.0.1:65536\"; the port must be from 0 to 65535 "
             "(f.yaml:2)"},
        Case{"PortIsNoNumber", listen("\"127.0.0.1:http\""),
             "[config] server.http.listen is \"127.0.0.1:http\"; the port must be from 0 to 65535 "
             "(f.yaml:2)"},
        Case{"HostName", listen("\"example.org:80\""),
             "[config] server.http.listen is \"example.org:80\"; the host must be an IP address, "
             "such as "
             "\"127.0.0.1:8080\" or \"[::1]:8080\" (f.yaml:2)"},
        Case{"Ipv6WithoutBrackets", listen("\"::1:80\""),
             "[config] server.http.listen is \"::1:80\"; the host must be an IP address, such as "
             "\"127.0.0.1:8080\" or \"[::1]:8080\" (f.yaml:2)"},
        Case{"BodyTooSmall", server("max_request_bytes: 1"),
             "[config] server.max_request_bytes is 1 B; it must be from 1.0 KiB to 1.0 GiB "
             "(f.yaml:2)"},
        Case{"BodyOverflows", server("max_request_bytes: 99999999999TiB"),
             "[config] server.max_request_bytes is wrong: \"99999999999TiB\" is too large a size "
             "(f.yaml:2)"},
        Case{"BodyIsNoSize", server("max_request_bytes: 8 apples"),
             "[config] server.max_request_bytes is wrong: \"8 apples\" is not a size; write a "
             "whole number with a "
             "unit, such as 8MiB, 512MB or 1073741824 (f.yaml:2)"},
        Case{"DrainNegative", server("drain_seconds: -1"),
             "[config] server.drain_seconds is -1; it must be from 0 to 3600 (f.yaml:2)"},
        Case{"ThreadsTooMany", server("http_threads: 65"),
             "[config] server.http_threads is 65; it must be from 1 to 64 (f.yaml:2)"}),
    name_of);

std::string device(const std::string& keys) { return kModel + "devices:\n  - {" + keys + "}"; }

INSTANTIATE_TEST_SUITE_P(
    Devices, ConfigErrors,
    testing::Values(
        Case{"NoDevice", kModel + "devices: []",
             "[config] devices has 0 entries; it must have from 1 to 64 (f.yaml:2)"},
        Case{"NoList", kModel + "devices: {}",
             "[config] devices is a section of keys; a list is wanted, such as [...] (f.yaml:2)"},
        Case{"NoName", device("kind: cpu"),
             "[config] devices[0] lacks the key \"name\" (f.yaml:3)"},
        Case{"SameName", device("name: a, kind: cpu}\n  - {name: a, kind: cpu"),
             "[config] devices[1] has the name \"a\" that the device in line 3 has; give each its "
             "own (f.yaml:4)"},
        Case{
            "UnknownKind", device("name: a, kind: cdua"),
            "[config] devices[0].kind is \"cdua\"; it must be one of: cpu, cuda, cuda-sim; did you "
            "mean \"cuda\"? (f.yaml:3)"},
        Case{"ThreadsOfGpu", device("name: a, kind: cuda, threads: 2"),
             "[config] devices[0].threads is for devices of the kind cpu; this one is of the kind "
             "cuda (f.yaml:3)"},
        Case{"IndexOfCpu", device("name: a, index: 0, kind: cpu"),
             "[config] devices[0].index is for devices of the kind cuda; this one is of the kind "
             "cpu (f.yaml:3)"},
        Case{"FaultOfGpu", device("name: a, kind: cuda, fault: copy 1"),
             "[config] devices[0].fault is for devices of the kind cuda-sim; this one is of the "
             "kind cuda (f.yaml:3)"},
        Case{"IndexTooLarge", device("name: a, kind: cuda, index: 256"),
             "[config] devices[0].index is 256; it must be from 0 to 255 (f.yaml:3)"},
        Case{
            "IndexAndUuid",
            device("name: a, kind: cuda, index: 1, uuid: "
                   "GPU-5fb8a4a6-0b3c-4f6e-9f2c-2d1e7a9c4b10"),
            "[config] devices[0] has both \"index\" and \"uuid\"; one of them says which GPU it is "
            "(f.yaml:3)"},
        Case{"ShortUuid", device("name: a, kind: cuda, uuid: GPU-5fb8a4a6"),
             "[config] devices[0].uuid is \"GPU-5fb8a4a6\"; a GPU's UUID is wanted, such as "
             "GPU-5fb8a4a6-0b3c-4f6e-9f2c-2d1e7a9c4b10 (f.yaml:3)"},
        Case{"UuidOfOtherLetters",
             device("name: a, kind: cuda, uuid: GPU-5FB8A4A6-0b3c-4f6e-9f2c-2d1e7a9c4b10"),
             "[config] devices[0].uuid is \"GPU-5FB8A4A6-0b3c-4f6e-9f2c-2d1e7a9c4b10\"; a GPU's "
             "UUID "
             "is wanted, such as GPU-5fb8a4a6-0b3c-4f6e-9f2c-2d1e7a9c4b10 (f.yaml:3)"},
        Case{"UnknownFault", device("name: a, kind: cuda-sim, fault: fire 1"),
             "[config] devices[0].fault is \"fire 1\"; it must be one of allocation, launch, copy, "
             "asynchronous, lost and a number from 1, such as \"launch 40\" (f.yaml:3)"},
        Case{"FaultWithoutNumber", device("name: a, kind: cuda-sim, fault: copy"),
             "[config] devices[0].fault is \"copy\"; it must be one of allocation, launch, copy, "
             "asynchronous, lost and a number from 1, such as \"launch 40\" (f.yaml:3)"},
        Case{"ThreadsBoolean", device("name: a, kind: cpu, threads: true"),
             "[config] devices[0].threads is the boolean true; an integer is wanted, such as 0 "
             "(f.yaml:3)"},
        Case{"ThreadsInQuotes", device("name: a, kind: cpu, threads: \"2\""),
             "[config] devices[0].threads is the text \"2\"; an integer is wanted, such as 0 "
             "(f.yaml:3)"},
        Case{"ThreadsFraction", device("name: a, kind: cpu, threads: 1.5"),
             "[config] devices[0].threads is the number 1.5; an integer is wanted, such as 0 "
             "(f.yaml:3)"},
        Case{"ThreadsHuge", device("name: a, kind: cpu, threads: 99999999999999999999"),
             "[config] devices[0].threads is 99999999999999999999; it must be from 0 to 1024 "
             "(f.yaml:3)"},
        Case{"NodeTooHigh", device("name: a, kind: cpu, numa_node: 1024"),
             "[config] devices[0].numa_node is 1024; it must be from 0 to 1023 (f.yaml:3)"},
        Case{"CoreTwice", device("name: a, kind: cpu, cores: [1, 1]"),
             "[config] devices[0].cores[1] names core 1 twice (f.yaml:3)"},
        Case{
            "CoreTooHigh", device("name: a, kind: cpu, cores: 0-5000"),
            "[config] devices[0].cores is \"0-5000\"; both ends must be from 0 to 4095 (f.yaml:3)"},
        Case{"CoresBackwards", device("name: a, kind: cpu, cores: 3-0"),
             "[config] devices[0].cores is \"3-0\"; the lower core comes first, such as 0-3 "
             "(f.yaml:3)"},
        Case{"CoresEmpty", device("name: a, kind: cpu, cores: []"),
             "[config] devices[0].cores has 0 entries; it must have from 1 to 1024 (f.yaml:3)"},
        Case{"CoresWord", device("name: a, kind: cpu, cores: all"),
             "[config] devices[0].cores is the text \"all\"; a range is wanted, such as 0-14, or 7 "
             "for one (f.yaml:3)"},
        Case{"CoresSection", device("name: a, kind: cpu, cores: {a: 1}"),
             "[config] devices[0].cores is a section of keys; a list or a range of cores is "
             "wanted, such as [0, 1] or "
             "0-3 (f.yaml:3)"},
        Case{"MoreThreadsThanCores", device("name: a, kind: cpu, threads: 3, cores: 0-1"),
             "[config] devices[0] has 3 threads on 2 cores; give it no more threads than cores, or "
             "0 for one on each "
             "(f.yaml:3)"}),
    name_of);

std::string stage(const std::string& keys) {
  return kDevices + "placement:\n  stages:\n    - {" + keys + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Placement, ConfigErrors,
    testing::Values(
        Case{"StagesEmpty", kDevices + "placement: {stages: []}",
             "[config] placement.stages has 0 entries; it must have from 1 to 256 (f.yaml:3)"},
        Case{"NoLayers", stage("device: cpu0"),
             "[config] placement.stages[0] lacks the key \"layers\" (f.yaml:5)"},
        Case{"NearestDevice", stage("device: cpu00, layers: 0-1"),
             "[config] device \"cpu00\" is not declared; did you mean \"cpu0\"? (f.yaml:5)"},
        Case{"NoNearDevice", stage("device: gpu-left, layers: 0-1"),
             "[config] device \"gpu-left\" is not declared; declared devices: cpu0, cpu1 "
             "(f.yaml:5)"},
        Case{"LayersWord", stage("device: cpu0, layers: all"),
             "[config] placement.stages[0].layers is the text \"all\"; a range is wanted, such as "
             "0-14, or 7 for one "
             "(f.yaml:5)"},
        Case{"LayersNegative", stage("device: cpu0, layers: -1"),
             "[config] placement.stages[0].layers is the number -1; a range is wanted, such as "
             "0-14, or 7 for one "
             "(f.yaml:5)"},
        Case{"LayersOpen", stage("device: cpu0, layers: 3-"),
             "[config] placement.stages[0].layers is the text \"3-\"; a range is wanted, such as "
             "0-14, or 7 for one "
             "(f.yaml:5)"},
        Case{"WeightsUnknown", stage("device: cpu0, layers: 0, weights: int4"),
             "[config] placement.stages[0].weights is \"int4\"; it must be one of: keep, int8, "
             "fp16, "
             "bf16, nvfp4; did you mean \"int8\"? (f.yaml:5)"},
        Case{"LayersHuge", stage("device: cpu0, layers: 0-99999999999999999999"),
             "[config] placement.stages[0].layers is \"0-99999999999999999999\"; both ends must be "
             "from 0 to 9999 "
             "(f.yaml:5)"}),
    name_of);

std::string scheduler(const std::string& keys) { return kModel + "scheduler: {" + keys + "}"; }

INSTANTIATE_TEST_SUITE_P(
    SchedulerAndLog, ConfigErrors,
    testing::Values(
        Case{"NoSequences", scheduler("max_sequences: 0"),
             "[config] scheduler.max_sequences is 0; it must be from 1 to 4096 (f.yaml:2)"},
        Case{"QueueTooLong", scheduler("max_queue: 65537"),
             "[config] scheduler.max_queue is 65537; it must be from 1 to 65536 (f.yaml:2)"},
        Case{
            "ChunkTooSmall", scheduler("prefill_chunk_tokens: 15"),
            "[config] scheduler.prefill_chunk_tokens is 15; it must be from 16 to 8192 (f.yaml:2)"},
        Case{
            "PageTooLarge", scheduler("kv_cache: {page_tokens: 272}"),
            "[config] scheduler.kv_cache.page_tokens is 272; it must be from 16 to 256 (f.yaml:2)"},
        Case{"KvTypeUnknown", scheduler("kv_cache: {dtype: int4}"),
             "[config] scheduler.kv_cache.dtype is \"int4\"; it must be one of: auto, fp32, fp16, "
             "bf16, int16, int8, fp8; did you mean \"int8\"? (f.yaml:2)"},
        Case{"PageNoMultiple", scheduler("kv_cache: {page_tokens: 24}"),
             "[config] scheduler.kv_cache.page_tokens is 24; it must be a multiple of 16 "
             "(f.yaml:2)"},
        Case{"MemoryTooSmall", scheduler("kv_cache: {memory: 4KiB}"),
             "[config] scheduler.kv_cache.memory is 4.0 KiB; it must be from 1.0 MiB to 16.0 TiB "
             "(f.yaml:2)"},
        Case{"MemoryList", scheduler("kv_cache: {memory: [1]}"),
             "[config] scheduler.kv_cache.memory is a list; a size is wanted, such as 8MiB "
             "(f.yaml:2)"},
        Case{"Level", kModel + "log: {level: inof}",
             "[config] log.level is \"inof\"; it must be one of: trace, debug, info, warn, error, "
             "off; did you mean "
             "\"info\"? (f.yaml:2)"},
        Case{"Format", kModel + "log: {format: xml}",
             "[config] log.format is \"xml\"; it must be one of: text, json (f.yaml:2)"},
        Case{"LevelList", kModel + "log: {level: [info]}",
             "[config] log.level is a list; text is wanted, such as trace (f.yaml:2)"}),
    name_of);

}  // namespace
}  // namespace mokume
