// cuBLASLt, opened at run time: a program with this in it starts, and a GPU runs, without it.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <memory>

#include "device/cuda/runtime.h"

namespace mokume::cuda {

/// The library's functions, by their names in it.
struct CublasFunctions {
  decltype(&cublasLtGetVersion) version = nullptr;
  decltype(&cublasLtGetStatusString) status_text = nullptr;
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtMatmulDescCreate) make_operation = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_operation = nullptr;
  decltype(&cublasLtMatmulDescDestroy) destroy_operation = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) make_layout = nullptr;
  decltype(&cublasLtMatrixLayoutSetAttribute) set_layout = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) make_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) find_algorithms = nullptr;
  decltype(&cublasLtMatmulAlgoConfigGetAttribute) ask_algorithm = nullptr;
  decltype(&cublasLtMatmulAlgoCheck) check_algorithm = nullptr;
  decltype(&cublasLtMatmul) multiply = nullptr;
};

/// Opened once and kept. NotFound says what is missing and what to do.
const Result<CublasFunctions>& cublas_functions();

/// One way of multiplying: what the library describes it by.
class CublasProduct {
 public:
  /// With the device current. Unimplemented where no algorithm does what make_product() promises.
  static Result<std::unique_ptr<CublasProduct>> make(const CublasFunctions& cublas,
                                                     cublasLtHandle_t library,
                                                     const ProductShape& shape);
  ~CublasProduct();

  cublasStatus_t multiply(cublasLtHandle_t library, cudaStream_t stream, const ProductArgs& args);

 private:
  CublasProduct(const CublasFunctions& cublas, const ProductShape& shape)
      : cublas_(cublas), shape_(shape) {}
  cublasStatus_t describe();
  cublasStatus_t set_scales(const void* matrix_scales, const void* x_scales);
  cublasStatus_t set_tokens(int tokens);
  cublasStatus_t find(cublasLtHandle_t library, int most, cublasLtMatmulHeuristicResult_t* found,
                      int& count);
  bool serves(cublasLtHandle_t library, const cublasLtMatmulHeuristicResult_t& found);

  const CublasFunctions& cublas_;
  const ProductShape shape_;
  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatrixLayout_t matrix_ = nullptr, x_ = nullptr, out_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_ = {};
};

}  // namespace mokume::cuda
