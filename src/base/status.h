// Status and Result<T>: how every fallible call of mokume reports.
//
// They are abseil's Status and StatusOr, which gRPC brings along. A message reads
// "[room] what is wrong (where)", for example
// "[placement] layers 12-15 are on no device (two-gpu.yaml:9)".
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace mokume {

using Status = absl::Status;
template <typename T>
using Result = absl::StatusOr<T>;

namespace internal {
// abseil may be built with a string_view of its own, which does not take std::string_view.
template <typename T>
decltype(auto) as_str_cat_argument(const T& value) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return absl::string_view(value.data(), value.size());
  } else {
    return (value);
  }
}
}  // namespace internal

/// Joins strings and numbers, as absl::StrCat does.
template <typename... Args>
std::string str_cat(const Args&... args) {
  return absl::StrCat(internal::as_str_cat_argument(args)...);
}

/// Error constructors: `invalid_argument("weights", "tensor ", name, " has no data")`.
template <typename... Args>
Status invalid_argument(std::string_view room, const Args&... args) {
  return absl::InvalidArgumentError(str_cat("[", room, "] ", args...));
}
template <typename... Args>
Status not_found(std::string_view room, const Args&... args) {
  return absl::NotFoundError(str_cat("[", room, "] ", args...));
}
template <typename... Args>
Status resource_exhausted(std::string_view room, const Args&... args) {
  return absl::ResourceExhaustedError(str_cat("[", room, "] ", args...));
}
template <typename... Args>
Status unavailable(std::string_view room, const Args&... args) {
  return absl::UnavailableError(str_cat("[", room, "] ", args...));
}
template <typename... Args>
Status internal_error(std::string_view room, const Args&... args) {
  return absl::InternalError(str_cat("[", room, "] ", args...));
}

}  // namespace mokume

#define MKM_CONCAT_INNER(a, b) a##b
#define MKM_CONCAT(a, b) MKM_CONCAT_INNER(a, b)

/// Returns from the calling function when `expr` (a Status) is not OK.
#define MKM_RETURN_IF_ERROR(expr)             \
  do {                                        \
    ::mokume::Status mkm_status = (expr);     \
    if (!mkm_status.ok()) return mkm_status;  \
  } while (false)

/// `MKM_ASSIGN_OR_RETURN(auto x, f());` assigns the value of a Result or returns its error.
#define MKM_ASSIGN_OR_RETURN(lhs, expr) \
  MKM_ASSIGN_OR_RETURN_INNER(MKM_CONCAT(mkm_result_, __LINE__), lhs, expr)
#define MKM_ASSIGN_OR_RETURN_INNER(result, lhs, expr) \
  auto result = (expr);                               \
  if (!result.ok()) return std::move(result).status(); \
  lhs = std::move(result).value()
