// Attention of tokens that are each the last of their sequence: the context is cut into pieces of
// kAttentionSplit positions, a block each, and a second kernel joins the pieces.
#include "kernels/cuda/attention_piece.cuh"
#include "kernels/cuda/ops.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kJoinThreads = 128;

/// Where a piece's results lie in the scratch: [head_dim] sums, the peak, the total.
MKM_DEVICE Ptr<float> piece_of(const AttentionArgs& args, int piece, int token, int head) {
  const ptrdiff_t index =
      (static_cast<ptrdiff_t>(piece) * args.step.tokens + token) * args.heads + head;
  return global(args.scratch) + index * (args.kv.head_dim + 2);
}

template <typename T, int kQueries>
MKM_KERNEL(kPieceThreads)
attention_piece_kernel(AttentionArgs args) {
  wait_for_previous();
  MKM_PIECE_MEMORY(T, kQueries, memory);
  const QueryGroup group = query_group<kQueries>(args);
  const int dim = args.kv.head_dim;
  const int piece_index = static_cast<int>(block_z()), first = piece_index * kAttentionSplit;
  if (first <= group.position) {  // the same for the whole block
    const Piece<T, kQueries> piece = {args, group, memory, HeadRow<T>(dim)};
    const int left = group.position + 1 - first;
    piece.load_queries();
    piece.attend(first, left < kAttentionSplit ? left : kAttentionSplit);
    for (int i = thread_x(); i < group.count * dim; i += kPieceThreads) {
      const int q = i / dim, d = i % dim;
      const float sum = memory.sums[q * HeadRow<T>::kSlots + piece.row.slot(d)];
      const float total = memory.totals[q];
      if (grid_z() == 1) {
        write_attention(args, static_cast<ptrdiff_t>(group.token) * args.heads + group.head + q, d,
                        sum, total);
      } else {
        const Ptr<float> out = piece_of(args, piece_index, group.token, group.head + q);
        out[d] = sum;
        if (d == 0) {
          const float peak = memory.peaks[q];
          out[dim] = peak;
          out[dim + 1] = total;
        }
      }
    }
  } else if (grid_z() == 1) {  // a padded token
    for (int i = thread_x(); i < group.count * dim; i += kPieceThreads) {
      const ptrdiff_t head = static_cast<ptrdiff_t>(group.token) * args.heads + group.head;
      global(args.out)[head * dim + i] = 0.0f;
    }
  }
}

MKM_KERNEL(kJoinThreads)
attention_join_kernel(AttentionArgs args) {
  wait_for_previous();
  const int token = static_cast<int>(block_x()), head = static_cast<int>(block_y());
  const int dim = args.kv.head_dim;
  const int position = global(args.step.positions)[token];
  const int pieces = position / kAttentionSplit + (position >= 0 ? 1 : 0);
  float peak = kNoScore;
  for (int i = 0; i < pieces; ++i) {
    const float of_piece = piece_of(args, i, token, head)[dim];
    peak = fmaxf(peak, of_piece);
  }
  for (int d = thread_x(); d < dim; d += kJoinThreads) {
    float sum = 0, total = 0;
    for (int i = 0; i < pieces; ++i) {
      const Ptr<float> piece = piece_of(args, i, token, head);
      const float of_piece = piece[dim], part = piece[d], part_total = piece[dim + 1];
      const float factor = expf(of_piece - peak);
      sum = madd(factor, part, sum);
      total = madd(factor, part_total, total);
    }
    write_attention(args, static_cast<ptrdiff_t>(token) * args.heads + head, d, sum, total);
  }
}

}  // namespace

int attention_decode(const AttentionArgs& args, Stream stream) {
  if (args.step.tokens == 0) return 0;
  const auto tokens = static_cast<unsigned>(args.step.tokens);
  const int pieces = (args.max_positions + kAttentionSplit - 1) / kAttentionSplit;
  const auto depth = static_cast<unsigned>(pieces > 1 ? pieces : 1);
  const int status = with_queries(args, [&]<typename T, int kQueries>() {
    return launch(stream, "attention_decode", attention_piece_kernel<T, kQueries>,
                  {tokens, query_runs<kQueries>(args), depth}, kPieceThreads, 0, args);
  });
  if (status != 0 || depth == 1) return status;
  return launch(stream, "attention_join", attention_join_kernel,
                {tokens, static_cast<unsigned>(args.heads)}, kJoinThreads, 0, args);
}

}  // namespace mokume::cuda::MKM_TARGET
