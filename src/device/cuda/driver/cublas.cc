#include "device/cuda/driver/cublas.h"

#include <dlfcn.h>

namespace mokume::cuda {
namespace {

constexpr int kMostAlgorithms = 32;

struct Types {
  cudaDataType_t factor;
  cudaDataType_t out;
  cublasComputeType_t compute;
};

Types types_of(ProductType type) {
  switch (type) {
    case ProductType::kF16:
      return {CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case ProductType::kBF16:
      return {CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case ProductType::kInt8:
      return {CUDA_R_8I, CUDA_R_32I, CUBLAS_COMPUTE_32I};
    case ProductType::kF8:
      return {CUDA_R_8F_E4M3, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    default:
      return {CUDA_R_4F_E2M1, CUDA_R_32F, CUBLAS_COMPUTE_32F};
  }
}

/// The version that this was built with, or the other one that has the same functions.
void* open_library(std::string& tried) {
  for (const int version : {CUBLAS_VER_MAJOR, CUBLAS_VER_MAJOR == 13 ? 12 : 13}) {
    const std::string name = str_cat("libcublasLt.so.", version);
    if (void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    const char* const why = dlerror();
    tried += str_cat(tried.empty() ? "" : "; ", why ? why : name);
  }
  return nullptr;
}

Result<CublasFunctions> open_functions() {
  std::string tried;
  void* const library = open_library(tried);
  if (!library) {
    return not_found("cuda", "no cuBLASLt (", tried, "): prompts take slower kernels; ",
                     "install cuBLAS ", CUBLAS_VER_MAJOR, " or name its folder in LD_LIBRARY_PATH");
  }
  CublasFunctions cublas;
  std::string missing;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function) missing = name;
  };
  find(cublas.version, "cublasLtGetVersion");
  find(cublas.status_text, "cublasLtGetStatusString");
  find(cublas.create, "cublasLtCreate");
  find(cublas.destroy, "cublasLtDestroy");
  find(cublas.make_operation, "cublasLtMatmulDescCreate");
  find(cublas.set_operation, "cublasLtMatmulDescSetAttribute");
  find(cublas.destroy_operation, "cublasLtMatmulDescDestroy");
  find(cublas.make_layout, "cublasLtMatrixLayoutCreate");
  find(cublas.set_layout, "cublasLtMatrixLayoutSetAttribute");
  find(cublas.destroy_layout, "cublasLtMatrixLayoutDestroy");
  find(cublas.make_preference, "cublasLtMatmulPreferenceCreate");
  find(cublas.set_preference, "cublasLtMatmulPreferenceSetAttribute");
  find(cublas.destroy_preference, "cublasLtMatmulPreferenceDestroy");
  find(cublas.find_algorithms, "cublasLtMatmulAlgoGetHeuristic");
  find(cublas.ask_algorithm, "cublasLtMatmulAlgoConfigGetAttribute");
  find(cublas.check_algorithm, "cublasLtMatmulAlgoCheck");
  find(cublas.multiply, "cublasLtMatmul");
  if (missing.empty()) return cublas;
  return not_found("cuda", "cuBLASLt has no function ", missing, ": prompts take slower kernels; ",
                   "install cuBLAS ", CUBLAS_VER_MAJOR);
}

/// The first of a row of calls that fails.
struct Calls {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  template <typename Call>
  Calls& then(const Call& call) {
    if (status == CUBLAS_STATUS_SUCCESS) status = call();
    return *this;
  }
};

}  // namespace

const Result<CublasFunctions>& cublas_functions() {
  static const Result<CublasFunctions> functions = open_functions();
  return functions;
}

Result<std::string> find_cublas() {
  const Result<CublasFunctions>& cublas = cublas_functions();
  MKM_RETURN_IF_ERROR(cublas.status());
  const size_t version = cublas->version();  // 130001 is 13.0.1
  return str_cat("cuBLASLt ", version / 10000, ".", version / 100 % 100, ".", version % 100);
}

CublasProduct::~CublasProduct() {
  if (out_) cublas_.destroy_layout(out_);
  if (x_) cublas_.destroy_layout(x_);
  if (matrix_) cublas_.destroy_layout(matrix_);
  if (operation_) cublas_.destroy_operation(operation_);
}

// Row-major out [tokens][rows] = x [tokens][columns] times matrix [rows][columns] transposed is, in
// the library's column-major eyes, out [rows, tokens] = transposed matrix [columns, rows] times x
// [columns, tokens].
cublasStatus_t CublasProduct::describe() {
  const Types types = types_of(shape_.type);
  const auto rows = static_cast<uint64_t>(shape_.rows);
  const auto columns = static_cast<uint64_t>(shape_.columns);
  const auto tokens = static_cast<uint64_t>(shape_.tokens);
  const cudaDataType_t scale = types.compute == CUBLAS_COMPUTE_32I ? CUDA_R_32I : CUDA_R_32F;
  const cublasOperation_t transposed = CUBLAS_OP_T;
  Calls calls;
  calls.then([&] { return cublas_.make_operation(&operation_, types.compute, scale); })
      .then([&] {
        return cublas_.set_operation(operation_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                     sizeof(transposed));
      })
      .then([&] {
        return cublas_.make_layout(&matrix_, types.factor, columns, rows, shape_.columns);
      })
      .then([&] { return cublas_.make_layout(&x_, types.factor, columns, tokens, shape_.columns); })
      .then([&] { return cublas_.make_layout(&out_, types.out, rows, tokens, shape_.rows); });
  if (shape_.type != ProductType::kNvfp4) return calls.status;
  const int32_t groups_of_16 = CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3;
  for (const auto mode : {CUBLASLT_MATMUL_DESC_A_SCALE_MODE, CUBLASLT_MATMUL_DESC_B_SCALE_MODE}) {
    calls.then([&] {
      return cublas_.set_operation(operation_, mode, &groups_of_16, sizeof(groups_of_16));
    });
  }
  // Algorithms are looked for with an address in its place, which is not read.
  const auto* const somewhere = reinterpret_cast<const void*>(uintptr_t{256});
  return calls.then([&] { return set_scales(somewhere, somewhere); }).status;
}

cublasStatus_t CublasProduct::set_scales(const void* matrix_scales, const void* x_scales) {
  return Calls()
      .then([&] {
        return cublas_.set_operation(operation_, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER,
                                     &matrix_scales, sizeof(matrix_scales));
      })
      .then([&] {
        return cublas_.set_operation(operation_, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &x_scales,
                                     sizeof(x_scales));
      })
      .status;
}

cublasStatus_t CublasProduct::set_tokens(int tokens) {
  const auto columns = static_cast<uint64_t>(tokens);
  Calls calls;
  for (const auto layout : {x_, out_}) {
    calls.then([&] {
      return cublas_.set_layout(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &columns, sizeof(columns));
    });
  }
  return calls.status;
}

// No memory to work in and no reduction: an algorithm that cuts a sum among blocks needs one of the
// two. So one block adds up each output, in an order that is the algorithm's.
cublasStatus_t CublasProduct::find(cublasLtHandle_t library, int most,
                                   cublasLtMatmulHeuristicResult_t* found, int& count) {
  cublasLtMatmulPreference_t preference = nullptr;
  const uint64_t workspace = 0;
  const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_NONE;
  const cublasStatus_t status =
      Calls()
          .then([&] { return cublas_.make_preference(&preference); })
          .then([&] {
            return cublas_.set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                          &workspace, sizeof(workspace));
          })
          .then([&] {
            return cublas_.set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                          &reductions, sizeof(reductions));
          })
          .then([&] {
            return cublas_.find_algorithms(library, operation_, matrix_, x_, out_, out_, preference,
                                           most, found, &count);
          })
          .status;
  if (preference) cublas_.destroy_preference(preference);
  return status;
}

/// Whether the algorithm never splits a sum and takes every number of tokens.
bool CublasProduct::serves(cublasLtHandle_t library, const cublasLtMatmulHeuristicResult_t& found) {
  if (found.state != CUBLAS_STATUS_SUCCESS || found.workspaceSize > 0) return false;
  int32_t splits = 1;
  size_t written = 0;
  const cublasStatus_t asked = cublas_.ask_algorithm(&found.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                                                     &splits, sizeof(splits), &written);
  if (asked == CUBLAS_STATUS_SUCCESS && splits > 1) return false;
  for (int tokens = 1; tokens <= shape_.most_tokens; ++tokens) {
    cublasLtMatmulHeuristicResult_t result = {};
    if (set_tokens(tokens) != CUBLAS_STATUS_SUCCESS ||
        cublas_.check_algorithm(library, operation_, matrix_, x_, out_, out_, &found.algo,
                                &result) != CUBLAS_STATUS_SUCCESS ||
        result.workspaceSize > 0) {
      return false;
    }
  }
  return true;
}

Result<std::unique_ptr<CublasProduct>> CublasProduct::make(const CublasFunctions& cublas,
                                                           cublasLtHandle_t library,
                                                           const ProductShape& shape) {
  std::unique_ptr<CublasProduct> product(new CublasProduct(cublas, shape));
  cublasLtMatmulHeuristicResult_t found[kMostAlgorithms] = {};
  int count = 0;
  const cublasStatus_t status =
      Calls()
          .then([&] { return product->describe(); })
          .then([&] { return product->find(library, kMostAlgorithms, found, count); })
          .status;
  for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < count; ++i) {
    if (!product->serves(library, found[i])) continue;
    product->algorithm_ = found[i].algo;
    return product;
  }
  return absl::UnimplementedError(str_cat("[cuda] cuBLASLt has no product of ", shape.rows, " x ",
                                          shape.columns, ": ", count, " algorithms, ",
                                          cublas.status_text(status)));
}

cublasStatus_t CublasProduct::multiply(cublasLtHandle_t library, cudaStream_t stream,
                                       const ProductArgs& args) {
  const float factor = args.factor, beta = args.accumulate ? 1 : 0;
  const int32_t one = 1, zero = 0;
  const bool integers = shape_.type == ProductType::kInt8;
  const void* const alpha = integers ? static_cast<const void*>(&one) : &factor;
  Calls calls;
  if (shape_.type == ProductType::kNvfp4) {
    calls.then([&] { return set_scales(args.matrix_scales, args.x_scales); });
  }
  return calls.then([&] { return set_tokens(args.tokens); })
      .then([&] {
        return cublas_.multiply(library, operation_, alpha, args.matrix, matrix_, args.x, x_,
                                integers ? static_cast<const void*>(&zero) : &beta, args.out, out_,
                                args.out, out_, &algorithm_, nullptr, 0, stream);
      })
      .status;
}

}  // namespace mokume::cuda
