"""Shows for every check that it lets a clean tree pass and catches a tree that breaks its rule."""

import re
import tempfile
import unittest
from pathlib import Path

import lint
from tree import Tree

CLEAN = {
    "src/base/a.h": "// About a.\n#pragma once\n\n#include <vector>\n",
    "src/base/a.cc": '#include "base/a.h"\n',
    "src/config/c.cc": '#include <yaml-cpp/yaml.h>\n\n#include "base/a.h"\n',
    "src/http/h.cc": '#include <sys/socket.h>\n\n#include <boost/beast.hpp>\n\n#include "engine/e.h"\n',
    "src/grpc/g.cc": '#include "mokume/v1/inference.pb.h"\n',
    "src/device/cpu/d.cc": '#include "kernels/cpu/k.h"\n',
    "src/http/CMakeLists.txt": "mokume_room(http DEPS mokume_api Boost::headers)\n",
    "src/device/cpu/CMakeLists.txt": "mokume_room(device_cpu DEPS mokume_device mokume_kernels_cpu)\n",
    "kernels/cpu/k.h": "#pragma once\n\n#include <immintrin.h>\n\n#include \"kernels/common/half.h\"\n",
    "kernels/cuda/portable_gpu.cuh": "#pragma once\n\n#include <cuda_fp16.h>\n",
    "kernels/cuda/add.cu": '#include "kernels/cuda/portable_gpu.cuh"\n',
    "configs/two-cpu.yaml": "model: {path: a}\n",
    "README.md": "See configs/two-cpu.yaml and [the docs](docs/a.md#top), [away](https://example.com), [here](#x).\n",
    "docs/a.md": "[back](../README.md) `[no](link.md)`\n",
    "tools/run.sh": "echo ok\n",
    "tools/a.py": "print(1)\n",
    "tests/data/tokens.txt": f"{lint.UNFINISHED[0]}\n",
    "kernels/cpu/body-inl.h": "int a;\n",
    ".clang-format": "BasedOnStyle: Google\n",
}

# check -> trees that break it, as changes to the clean one
BROKEN = {
    "rooms": [
        {"src/base/a.cc": '#include "config/c.h"\n'},
        {"src/config/c.cc": '#include "model/m.h"\n'},
        {"src/http/h.cc": '#include "grpc/g.h"\n'},
        {"src/engine/e.cc": '#include "device/cpu/d.h"\n'},
        {"src/scheduler/s.h": '#  include "device/stage.h"\n'},
        {"src/base/a.cc": '#include "a.h"\n'},
        {"src/base/a.cc": '#include "../base/a.h"\n'},
        {"src/novel/n.cc": "\n#include <vector>\n"},
        {"src/engine/e.cc": '#include "kernels/cpu/k.h"\n'},
    ],
    "third_party": [
        {"src/model/m.cc": "#include <nlohmann/json.hpp>\n"},
        {"src/main/m.cc": "#include <yaml-cpp/yaml.h>\n"},
        {"src/api/m.cc": "#include <grpcpp/grpcpp.h>\n"},
        {"src/http/m.cc": '#include "mokume/v1/inference.grpc.pb.h"\n'},
        {"src/grpc/m.cc": "#include <boost/asio.hpp>\n"},
        {"src/engine/m.cc": "#include <prometheus/registry.h>\n"},
        {"src/engine/m.cc": "#include <unknown/lib.h>\n"},
        {"src/engine/m.cc": '#include "unknown/lib.h"\n'},
        {"src/model/m.cc": "#include <pcre2.h>\n"},
    ],
    "kernels": [
        {"kernels/cpu/k.cc": '#include "base/status.h"\n'},
        {"kernels/cpu/k.cc": '#include "src/base/status.h"\n'},
        {"kernels/cpu/k.cc": "#include <absl/status/status.h>\n"},
        {"kernels/common/k.inc": '#include "tensor/dtype.h"\n'},
    ],
    "cuda": [
        {"src/engine/e.cc": "#include <cuda_runtime.h>\n"},
        {"kernels/cuda/kernels.h": "#pragma once\n\n#include <driver_types.h>\n"},
        {"kernels/cuda/add.cu": "#include <cuda_bf16.h>\n"},
        {"kernels/simt/e.cc": '#include "kernels/cuda/kernels.h"\n'},
        {"src/device/cuda/s.cc": '#include "kernels/cuda/portable.cuh"\n'},
    ],
    "cmake_links": [
        {"src/base/CMakeLists.txt": "mokume_room(base DEPS mokume_tensor)\n"},
        {"src/engine/CMakeLists.txt": "mokume_room(engine\n  DEPS mokume_scheduler\n  mokume_device_cpu)\n"},
    ],
    "file_size": [{"src/base/big.cc": "int a;\n" * 451}, {"kernels/cuda/b.cu": "int a;\n" * 451},
        {"kernels/cpu/big.h": "#pragma once\n" * 451}],
    "pragma_once": [{"src/base/b.h": "// no guard\nint a();\n"}, {"tests/unit/b.h": "#include <vector>\n#pragma once\n"},
        {"kernels/cuda/b.cuh": "int a();\n"}],
    "format": [{"src/base/b.cc": "int  a ;\n"}, {"tests/unit/b.cc": "int f( ){return 1;}\n"}],
    "forbidden_words": [
        *({"docs/a.txt": f"see {word} there\n"} for word in lint.MACHINE + lint.UNFINISHED),
        *({"tests/data/a.txt": f"see {word} there\n"} for word in lint.MACHINE),
    ],
    "configs_mentioned": [{"configs/new.yaml": "model: {path: a}\n"}],
    "links": [{"docs/b.md": "[gone](missing.md)\n"}, {"docs/b.md": "[gone](missing.md#part)\n"}],
    "shell": [{"tools/run.sh": "if true; then\n"}, {".ci/run": "#!/usr/bin/env bash\necho $(\n"}],
    "python": [{"tools/a.py": "def f(:\n"}],
}


def violations(check: str, files: dict[str, str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return list(lint.CHECKS[check](Tree(Path(folder))))


class LintTest(unittest.TestCase):
    def test_a_clean_tree_passes(self):
        for check in lint.CHECKS:
            with self.subTest(check):
                self.assertEqual(violations(check, CLEAN), [])

    def test_every_check_catches_what_it_is_for(self):
        self.assertEqual(set(BROKEN), set(lint.CHECKS))
        for check, changes in BROKEN.items():
            for change in changes:
                with self.subTest(check, change=change):
                    self.assertNotEqual(violations(check, CLEAN | change), [])

    def test_ctest_runs_every_check(self):
        text = Path(__file__).with_name("CMakeLists.txt").read_text()
        listed = re.search(r"foreach\(check ([^)]*)\)", text).group(1).split()
        self.assertEqual(sorted(listed), sorted(lint.CHECKS))

    def test_the_real_tree_is_seen(self):
        tree = Tree(Path(__file__).parents[2])
        self.assertIn("src/base/status.h", list(tree.files("src", suffixes=(".h",))))
        self.assertFalse([path for path in tree.files() if path.startswith("build/")])


if __name__ == "__main__":
    unittest.main()
