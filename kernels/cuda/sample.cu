// A token from each row of logits. A row is cut into slices; a block finds the largest top_k of a
// slice, and a second kernel the largest of all slices' and which of them it is to be. Logits that
// are NaN count as -inf and +inf as the largest float, as in the engine's sampler; equal logits go
// by their index.
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/portable.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 256;  // as many as a digit of a key has values
constexpr int kWarps = kThreads / kWarp;

/// Orders as the logits do.
MKM_DEVICE uint32_t key_of(float logit) {
  if (!(logit >= -INFINITY)) logit = -INFINITY;
  const uint32_t bits = float_to_bits(fminf(logit, 3.402823466e38f));
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
MKM_DEVICE float logit_of(uint32_t key) {
  return bits_to_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}
/// Below every logit's key: where there is no candidate.
constexpr uint32_t kNoKey = 0;

struct Row {
  float inverse_temperature, top_p, min_p, uniform;
  int top_k;
};
MKM_DEVICE Row load_row(const SampleArgs& args, int index) {
  static_assert(sizeof(SampleRow) == 20, "read as five words");
  const Ptr<const float> words = cast<const float>(global(args.rows)) + 5 * index;
  Row row;
  row.inverse_temperature = words[0];
  row.top_p = words[1];
  row.min_p = words[2];
  row.uniform = words[3];
  row.top_k = cast<const int32_t>(words)[4];
  row.top_k = row.top_k < 1 ? 1 : row.top_k > kMaxTopK ? kMaxTopK : row.top_k;
  return row;
}

/// What the block's searches share.
struct Search {
  Ptr<int> counts;  ///< [kThreads]
  Ptr<int> found;   ///< [2]
};

/// The k largest of some keys: those above `key`, and the first `equals` that are it.
struct Cut {
  uint32_t key;
  int equals;
};

/// Digit by digit, the highest first.
MKM_DEVICE Cut find_cut(Ptr<const uint32_t> keys, int n, int k, const Search& search) {
  if (n <= k) return {0, n};
  const int digit = static_cast<int>(thread_x());
  uint32_t prefix = 0, known = 0;
  int left = k;
  for (int shift = 24; shift >= 0; shift -= 8) {
    search.counts[digit] = 0;
    sync_block();
    for (int i = thread_x(); i < n; i += kThreads) {
      const uint32_t key = keys[i];
      if ((key & known) == prefix)
        atomic_add(search.counts + static_cast<ptrdiff_t>((key >> shift) & 255), 1);
    }
    sync_block();
    int above = 0;
    for (int j = digit + 1; j < kThreads; ++j) {
      const int count = search.counts[j];
      above += count;
    }
    const int mine = search.counts[digit];
    if (above < left && above + mine >= left) {
      search.found[0] = digit;
      search.found[1] = above;
    }
    sync_block();
    const int chosen = search.found[0], taken = search.found[1];
    prefix |= static_cast<uint32_t>(chosen) << shift;
    known |= 255u << shift;
    left -= taken;
  }
  return {prefix, left};
}

/// Calls take(slot, i) for the keys that the cut keeps, with slots 0, 1, ... in the order of i.
template <typename Take>
MKM_DEVICE void take_kept(Ptr<const uint32_t> keys, int n, const Cut& cut, const Search& search,
                          const Take& take) {
  const uint32_t below = (1u << lane_id()) - 1;
  int above = 0, equal = 0;  // before this round
  for (int start = 0; start < n; start += kThreads) {
    const int i = start + static_cast<int>(thread_x());
    uint32_t key = 0;
    if (i < n) key = keys[i];
    const bool is_above = i < n && key > cut.key, is_equal = i < n && key == cut.key;
    const unsigned above_votes = ballot(is_above), equal_votes = ballot(is_equal);
    if (lane_id() == 0) {
      search.counts[warp_id()] = count_bits(above_votes);
      search.counts[kWarps + warp_id()] = count_bits(equal_votes);
    }
    sync_block();
    int my_above = above + count_bits(above_votes & below);
    int my_equal = equal + count_bits(equal_votes & below);
    for (int w = 0; w < kWarps; ++w) {
      const int of_above = search.counts[w], of_equal = search.counts[kWarps + w];
      above += of_above;
      equal += of_equal;
      if (w < warp_id()) {
        my_above += of_above;
        my_equal += of_equal;
      }
    }
    if (is_above || (is_equal && my_equal < cut.equals)) {
      take(my_above + (my_equal < cut.equals ? my_equal : cut.equals), i);
    }
    sync_block();
  }
}

/// Where a slice's candidates lie in the scratch: [kMaxTopK] keys, then as many ids.
MKM_DEVICE Ptr<uint32_t> candidates_of(const SampleArgs& args, int row, int slice) {
  return cast<uint32_t>(global(args.scratch)) +
         (static_cast<ptrdiff_t>(row) * kSampleSlices + slice) * 2 * kMaxTopK;
}

int slice_length(int vocab) { return (vocab + kSampleSlices - 1) / kSampleSlices; }

MKM_KERNEL(kThreads)
sample_slice_kernel(SampleArgs args, int length) {
  wait_for_previous();
  MKM_DYNAMIC_SHARED(shared);
  MKM_SHARED(int, counts, kThreads);
  MKM_SHARED(int, found, 2);
  const Search search = {counts, found};
  const Ptr<uint32_t> keys = cast<uint32_t>(shared);
  const int slice = static_cast<int>(block_x()), row = static_cast<int>(block_y());
  const int first = slice * length;
  const int left = args.vocab - first, n = left < length ? (left > 0 ? left : 0) : length;
  const Ptr<const float> logits =
      global(args.logits) + static_cast<ptrdiff_t>(row) * args.vocab + first;
  for (int i = thread_x(); i < n; i += kThreads) {
    const float logit = logits[i];
    keys[i] = key_of(logit);
  }
  sync_block();
  const int k = load_row(args, row).top_k;
  const Ptr<uint32_t> out = candidates_of(args, row, slice);
  const Cut cut = find_cut(keys, n, k, search);
  take_kept(keys, n, cut, search, [&](int slot, int i) {
    const uint32_t key = keys[i];
    out[slot] = key;
    out[kMaxTopK + slot] = static_cast<uint32_t>(first + i);
  });
  for (int slot = n + static_cast<int>(thread_x()); slot < k; slot += kThreads) out[slot] = kNoKey;
}

/// Candidates in the order of their ids, [k].
struct Finalists {
  Ptr<uint32_t> keys;
  Ptr<uint32_t> ids;
  Ptr<float> weights;
  Ptr<int> by_rank;
};

/// Which finalist it is to be; by one thread.
MKM_DEVICE int draw(const Row& row, int count, const Finalists& f) {
  double total = 0;
  int kept = 0;
  for (; kept < count; ++kept) {  // the likeliest first
    const int at = f.by_rank[kept];
    const float weight = f.weights[at];
    if (weight < row.min_p) break;
    total += weight;
  }
  if (row.top_p < 1) {
    const double wanted = static_cast<double>(row.top_p) * total;
    double sum = 0;
    int fewest = 0;
    while (fewest < kept) {
      const int at = f.by_rank[fewest++];
      const float weight = f.weights[at];
      sum += weight;
      if (sum >= wanted) break;
    }
    kept = fewest;
    total = sum;
  }
  for (int rank = kept; rank < count; ++rank) {
    const int at = f.by_rank[rank];
    f.weights[at] = 0.0f;
  }
  const double target = static_cast<double>(row.uniform) * total;
  double sum = 0;
  int last = f.by_rank[0];
  for (int i = 0; i < count; ++i) {
    const float weight = f.weights[i];
    if (weight == 0) continue;
    sum += weight;
    last = i;
    if (sum > target) break;
  }
  return last;
}

MKM_KERNEL(kThreads)
sample_pick_kernel(SampleArgs args) {
  wait_for_previous();
  MKM_SHARED(uint32_t, keys, kMaxTopK * kSampleSlices);
  MKM_SHARED(int, counts, kThreads);
  MKM_SHARED(int, found, 2);
  MKM_SHARED(uint32_t, final_keys, kMaxTopK);
  MKM_SHARED(uint32_t, final_ids, kMaxTopK);
  MKM_SHARED(float, weights, kMaxTopK);
  MKM_SHARED(int, by_rank, kMaxTopK);
  const Search search = {counts, found};
  const Finalists f = {final_keys, final_ids, weights, by_rank};
  const int index = static_cast<int>(block_x());
  const Row row = load_row(args, index);
  const int k = row.top_k, n = k * kSampleSlices;
  for (int i = thread_x(); i < n; i += kThreads) {
    const uint32_t key = candidates_of(args, index, i / k)[i % k];
    keys[i] = key;
  }
  sync_block();
  const Cut cut = find_cut(keys, n, k, search);
  take_kept(keys, n, cut, search, [&](int slot, int i) {
    const uint32_t key = keys[i];
    f.keys[slot] = key;
    f.ids[slot] = 0;
    if (key != kNoKey) {
      const uint32_t id = candidates_of(args, index, i / k)[kMaxTopK + i % k];
      f.ids[slot] = id;
    }
  });
  sync_block();
  if (static_cast<int>(thread_x()) < k) {
    const int i = static_cast<int>(thread_x());
    const uint32_t key = f.keys[i];
    int rank = 0;
    uint32_t best = kNoKey;
    for (int j = 0; j < k; ++j) {
      const uint32_t other = f.keys[j];
      if (other > key || (other == key && j < i)) ++rank;
      if (other > best) best = other;
    }
    f.by_rank[rank] = i;
    f.weights[i] = 0.0f;
    if (key != kNoKey) {
      f.weights[i] = expf((logit_of(key) - logit_of(best)) * row.inverse_temperature);
    }
  }
  sync_block();
  if (thread_x() == 0) {
    const int chosen = k == 1 ? 0 : draw(row, k, f);
    const uint32_t id = f.ids[chosen];
    global(args.out)[index] = static_cast<int32_t>(id);
  }
}

}  // namespace

int sample(const SampleArgs& args, Stream stream) {
  if (args.count == 0) return 0;
  const int length = slice_length(args.vocab);
  const auto rows = static_cast<unsigned>(args.count);
  const int status = launch(stream, "sample_slice", sample_slice_kernel, {kSampleSlices, rows},
                            kThreads, static_cast<size_t>(length) * sizeof(uint32_t), args, length);
  if (status != 0) return status;
  return launch(stream, "sample_pick", sample_pick_kernel, {rows}, kThreads, 0, args);
}

}  // namespace mokume::cuda::MKM_TARGET
