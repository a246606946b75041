#include "quantize/order.h"

#include <numeric>

namespace mokume {
namespace {

Order identity(int64_t size) {
  Order order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

/// Of the rope's pairs: within the first `rope.dims` of every `stride` elements, for `heads` heads.
Order rope_order(const Rope& rope, int64_t heads, int64_t stride, bool interleave) {
  if (rope.interleaved == interleave) return {};
  Order order = identity(heads * stride);
  const int64_t pairs = rope.dims / 2;
  for (int64_t head = 0; head < heads; ++head) {
    const int64_t first = head * stride;
    for (int64_t pair = 0; pair < pairs; ++pair) {
      for (int64_t half = 0; half < 2; ++half) {
        const int64_t apart = first + half * pairs + pair;
        const int64_t together = first + 2 * pair + half;
        order[interleave ? together : apart] = interleave ? apart : together;
      }
    }
  }
  return order;
}

PartOrder attention_order(const Attention& attention, Role role, bool interleave) {
  const Rope& rope = attention.rope;
  const int64_t dim = attention.head_dim;
  switch (role) {
    case Role::kQ:
      return {.rows = rope_order(rope, attention.heads, attention.output_gate ? 2 * dim : dim,
                                 interleave)};
    case Role::kK:
      return {.rows = rope_order(rope, attention.kv_heads, dim, interleave)};
    case Role::kQNorm:
    case Role::kKNorm:
      return {.rows = rope_order(rope, 1, dim, interleave)};
    default:
      return {};
  }
}

/// Value heads of `width` elements each, after `before` elements that stay. In tiled order the
/// heads of one key head are key_heads apart, in grouped order they are neighbours.
Order value_order(const DeltaNet& net, int64_t before, int64_t width, bool tile) {
  if (net.tiled_heads == tile || net.key_heads == net.value_heads) return {};
  const int64_t shared = net.value_heads / net.key_heads;
  Order order = identity(before + net.value_heads * width);
  for (int64_t key = 0; key < net.key_heads; ++key) {
    for (int64_t i = 0; i < shared; ++i) {
      const int64_t grouped = before + (key * shared + i) * width;
      const int64_t tiled = before + (i * net.key_heads + key) * width;
      const int64_t to = tile ? tiled : grouped, from = tile ? grouped : tiled;
      std::iota(order.begin() + to, order.begin() + to + width, from);
    }
  }
  return order;
}

PartOrder delta_order(const DeltaNet& net, Role role, bool tile) {
  const int64_t keys = 2 * int64_t{net.key_width()};
  switch (role) {
    case Role::kDeltaQkv:
    case Role::kDeltaConv:
      return {.rows = value_order(net, keys, net.value_dim, tile)};
    case Role::kDeltaZ:
      return {.rows = value_order(net, 0, net.value_dim, tile)};
    case Role::kDeltaA:
    case Role::kDeltaB:
    case Role::kDeltaDecay:
    case Role::kDeltaDtBias:
      return {.rows = value_order(net, 0, 1, tile)};
    case Role::kDeltaO:
      return {.columns = value_order(net, 0, net.value_dim, tile)};
    default:
      return {};
  }
}

}  // namespace

PartOrder order_for(const Part& part, const Conventions& target) {
  if (part.spec == nullptr) return {};
  if (const auto* attention = std::get_if<Attention>(&part.spec->mixer)) {
    return attention_order(*attention, part.role, target.rope_interleaved);
  }
  return delta_order(std::get<DeltaNet>(part.spec->mixer), part.role, target.tiled_heads);
}

}  // namespace mokume
