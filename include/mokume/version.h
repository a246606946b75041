// The version of mokume, as `--version` prints it.
#pragma once

namespace mokume {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace mokume
