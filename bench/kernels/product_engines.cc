// Which engine multiplies faster here, our kernels or oneDNN, for each float format and shape: what
// a CPU device measures while it loads. usage: bench_product_engines [ROWSxCOLUMNS...] without
// shapes: those of some models
#include "device/cpu/product_engines.h"

#include <cstdio>
#include <string>
#include <vector>

namespace {

using mokume::kernels::Format;

struct Shape {
  int rows, columns;
};

constexpr Shape kShapes[] = {{576, 576},   {1536, 576},  {576, 1536},   {1024, 1024}, {3584, 1024},
                             {1024, 3584}, {4096, 4096}, {12288, 4096}, {4096, 12288}};

constexpr std::pair<Format, const char*> kFormats[] = {{Format::kF32, "F32"},
                                                       {Format::kBF16, "BF16"}};

void print_row(Format format, const char* name, Shape shape) {
  const auto& kernels = mokume::kernels::best_cpu_kernels();
  std::printf("%-5s %6d x %-6d", name, shape.rows, shape.columns);
  const auto times = mokume::time_engines(kernels, format, shape.rows, shape.columns);
  if (!times) {
    std::printf("  oneDNN has no such product on this machine\n");
    return;
  }
  const double elements = double{1} * times->rows * shape.columns;
  const auto rate = [&](double seconds, int tokens) { return 2e-9 * elements * tokens / seconds; };
  const int many = mokume::SliceProduct::kTokens;
  std::printf("  %6.0f %6.0f  %6.2f   %6.0f %6.0f  %6.2f   %s\n",
              rate(times->kernels.many_tokens, many), rate(times->library.many_tokens, many),
              times->kernels.many_tokens / times->library.many_tokens,
              rate(times->kernels.one_token, 1), rate(times->library.one_token, 1),
              times->kernels.one_token / times->library.one_token,
              times->library_wins() ? "oneDNN" : "kernels");
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Shape> shapes;
  for (int i = 1; i < argc; ++i) {
    Shape shape{};
    if (std::sscanf(argv[i], "%dx%d", &shape.rows, &shape.columns) != 2 || shape.rows <= 0 ||
        shape.columns <= 0) {
      std::fprintf(stderr, "%s is no shape; usage: %s [ROWSxCOLUMNS...]\n", argv[i], argv[0]);
      return 2;
    }
    shapes.push_back(shape);
  }
  if (shapes.empty()) shapes.assign(std::begin(kShapes), std::end(kShapes));
  const char* library = mokume::slice_product_library();
  std::printf("kernels: %s; library: %s; one thread, up to 512 rows, GFLOP/s\n",
              mokume::kernels::best_cpu_kernels().name, library ? library : "none in this build");
  std::printf("                        64 tokens               one token, from the cache\n");
  std::printf("format  rows x columns kernels oneDNN  ratio  kernels oneDNN  ratio   taken\n");
  for (const auto& [format, name] : kFormats) {
    for (const Shape& shape : shapes) print_row(format, name, shape);
  }
  return 0;
}
