// The launch functions of this target: one file an op.
#pragma once

#include "kernels/cuda/portable.cuh"

namespace mokume::cuda::MKM_TARGET {

int embed(const EmbedArgs& args, Stream stream);
int rms_norm(const RmsNormArgs& args, Stream stream);
int matvec(const MatvecArgs& args, Stream stream);
int gate_up(const GateUpArgs& args, Stream stream);
int gemm(const GemmArgs& args, Stream stream);
int rescale(const RescaleArgs& args, Stream stream);
int dequantize(const DequantizeArgs& args, Stream stream);
int quantize_nvfp4(const QuantizeNvfp4Args& args, Stream stream);
int pack_nvfp4(const PackNvfp4Args& args, Stream stream);
int silu_mul(const SiluMulArgs& args, Stream stream);
int rope_append(const RopeAppendArgs& args, Stream stream);
int attention_decode(const AttentionArgs& args, Stream stream);
int attention_prefill(const AttentionArgs& args, Stream stream);
int delta_net_decode(const DeltaNetArgs& args, Stream stream);
int delta_net_prefill(const DeltaNetArgs& args, Stream stream);
int sample(const SampleArgs& args, Stream stream);

}  // namespace mokume::cuda::MKM_TARGET
