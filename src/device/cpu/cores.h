// Which cores a process has, and which of them a device's threads run on.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace mokume {

/// Where a device's threads are to run, as its options say.
struct CoreOptions {
  int threads = 0;               ///< 0: one for every physical core, within the CPU quota
  std::vector<int> cores;        ///< pin thread i to cores[i % size]; empty: no pinning
  std::optional<int> numa_node;  ///< threads and memory stay on it
};

struct CoreChoice {
  int threads = 1;
  /// Each thread calls this first, with its number: it binds itself. May be empty.
  std::function<void(int thread)> bind;
};

/// InvalidArgument for a core or node that this process may not use, or that do not go together.
Result<CoreChoice> choose_cores(const CoreOptions& options);

/// Processors' worth of time that the control group of a process may use (v2's cpu.max or v1's
/// cpu.cfs_quota_us, the least of the group and those above it); empty: no limit. `cgroups` is
/// /sys/fs/cgroup, `membership` the text of /proc/self/cgroup.
std::optional<double> cpu_quota(const std::string& cgroups, const std::string& membership);

}  // namespace mokume
