// Cutting rows into tiles whose size the compiler knows. Included by each instruction set's .cc
// inside its namespace.

/// Calls tile(std::integral_constant<int, N>, first) for kMost items at a time, and once for the
/// rest.
template <int kMost, typename Tile>
void for_tiles(int count, const Tile& tile) {
  int first = 0;
  for (; first + kMost <= count; first += kMost) {
    tile(std::integral_constant<int, kMost>{}, first);
  }
  const auto rest = [&]<int N>(const auto& self, std::integral_constant<int, N> size) -> void {
    if (count - first == N) {
      tile(size, first);
    } else if constexpr (N > 1) {
      self(self, std::integral_constant<int, N - 1>{});
    }
  };
  if constexpr (kMost > 1) rest(rest, std::integral_constant<int, kMost - 1>{});
}
