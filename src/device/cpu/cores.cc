#include "device/cpu/cores.h"

#include <hwloc.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <sstream>

namespace mokume {
namespace {

constexpr int kMaxThreads = 1024;

struct FreeBitmap {
  void operator()(hwloc_bitmap_s* bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, FreeBitmap>;

/// What of the machine this process may use.
class Topology {
 public:
  static Result<std::shared_ptr<const Topology>> read() {
    auto made = std::shared_ptr<Topology>(new Topology());
    if (hwloc_topology_init(&made->topology_) != 0) {
      made->topology_ = nullptr;
      return internal_error("cpu", "hwloc gives no topology");
    }
    if (hwloc_topology_load(made->topology_) != 0)
      return internal_error("cpu", "hwloc cannot read the machine's topology");
    made->usable_.reset(hwloc_bitmap_alloc());
    if (hwloc_get_cpubind(made->topology_, made->usable_.get(), HWLOC_CPUBIND_THREAD) != 0)
      hwloc_bitmap_copy(made->usable_.get(), hwloc_topology_get_allowed_cpuset(made->topology_));
    return made;
  }
  ~Topology() {
    if (topology_) hwloc_topology_destroy(topology_);
  }

  const hwloc_bitmap_s* usable() const { return usable_.get(); }
  hwloc_obj_t node(int index) const {
    return hwloc_get_numanode_obj_by_os_index(topology_, static_cast<unsigned>(index));
  }
  /// Of `set`; a core of which the process may use one thread counts.
  int physical_cores(const hwloc_bitmap_s* set) const {
    int count = 0;
    for (hwloc_obj_t core = nullptr;
         (core = hwloc_get_next_obj_by_type(topology_, HWLOC_OBJ_CORE, core));)
      count += hwloc_bitmap_intersects(core->cpuset, set);
    return count > 0 ? count : hwloc_bitmap_weight(set);
  }
  void bind_thread(const hwloc_bitmap_s* set) const {
    hwloc_set_cpubind(topology_, set, HWLOC_CPUBIND_THREAD);
  }
  void bind_memory_of_thread(hwloc_obj_t node) const {
    hwloc_set_membind(topology_, node->nodeset, HWLOC_MEMBIND_BIND,
                      HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET);
  }

 private:
  Topology() = default;
  hwloc_topology_t topology_ = nullptr;
  Bitmap usable_;
};

std::string list_of(const hwloc_bitmap_s* set) {
  char text[256];
  hwloc_bitmap_list_snprintf(text, sizeof(text), set);
  return text;
}

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (std::getline(file, line)) return line;
  return std::nullopt;
}

/// "200000 100000" or "max 100000"; v1 has the two in files of their own, and -1 for no limit.
std::optional<double> quota_of(const std::string& group) {
  std::istringstream text(first_line(group + "/cpu.max")
                              .value_or(first_line(group + "/cpu.cfs_quota_us").value_or("") + " " +
                                        first_line(group + "/cpu.cfs_period_us").value_or("")));
  double quota, period;
  if (!(text >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

std::optional<double> least(std::optional<double> a, std::optional<double> b) {
  return a && b ? std::min(*a, *b) : a ? a : b;
}

std::optional<double> quota_of_this_process() {
  std::ifstream file("/proc/self/cgroup");
  const std::string membership((std::istreambuf_iterator<char>(file)), {});
  return cpu_quota("/sys/fs/cgroup", membership);
}

}  // namespace

std::optional<double> cpu_quota(const std::string& cgroups, const std::string& membership) {
  std::optional<double> found;
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {  // hierarchy:controllers:path
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool has_cpu = ("," + controllers + ",").find(",cpu,") != std::string::npos;
    if (!controllers.empty() && !has_cpu) continue;
    const std::string root = controllers.empty() ? cgroups : cgroups + "/" + controllers;
    std::string path = line.substr(second + 1);
    while (true) {
      found = least(found, quota_of(root + path));
      if (path.empty()) break;
      path.resize(path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/'));
    }
  }
  return found;
}

Result<CoreChoice> choose_cores(const CoreOptions& options) {
  MKM_ASSIGN_OR_RETURN(const std::shared_ptr<const Topology> topology, Topology::read());
  Bitmap set(hwloc_bitmap_dup(topology->usable()));
  hwloc_obj_t node = nullptr;
  if (options.numa_node) {
    node = topology->node(*options.numa_node);
    if (!node || !hwloc_bitmap_intersects(node->cpuset, set.get())) {
      return invalid_argument("cpu", "NUMA node ", *options.numa_node,
                              " has no core that this process may use");
    }
    hwloc_bitmap_and(set.get(), set.get(), node->cpuset);
  }
  for (int core : options.cores) {
    if (hwloc_bitmap_isset(set.get(), static_cast<unsigned>(core))) continue;
    return invalid_argument("cpu", "core ", core, " is not one that this process may use",
                            node ? " on that NUMA node" : "", "; these are: ", list_of(set.get()));
  }
  if (options.threads < 0 || options.threads > kMaxThreads)
    return invalid_argument("cpu", "threads must lie in 0..", kMaxThreads);
  CoreChoice choice;
  choice.threads = options.threads;
  if (options.threads == 0) {
    const int cores = options.cores.empty() ? topology->physical_cores(set.get())
                                            : static_cast<int>(options.cores.size());
    const double quota = std::ceil(quota_of_this_process().value_or(kMaxThreads));
    choice.threads = std::clamp(static_cast<int>(std::min(quota, double{kMaxThreads})), 1, cores);
  }
  if (options.cores.empty() && !node) return choice;
  choice.bind = [topology, node, cores = options.cores,
                 set = std::shared_ptr<hwloc_bitmap_s>(std::move(set))](int thread) {
    Bitmap own(hwloc_bitmap_dup(set.get()));
    if (!cores.empty()) {
      const int core = cores[static_cast<size_t>(thread) % cores.size()];
      hwloc_bitmap_only(own.get(), static_cast<unsigned>(core));
    }
    topology->bind_thread(own.get());
    if (node) topology->bind_memory_of_thread(node);
  };
  return choice;
}

}  // namespace mokume
