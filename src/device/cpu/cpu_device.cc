#include "device/cpu/cpu_device.h"

#include <algorithm>

#include "device/cpu/cores.h"
#include "device/cpu/cpu_stage.h"
#include "device/cpu/memory.h"
#include "device/worker.h"

namespace mokume {
namespace {

Result<const kernels::CpuKernels*> find_kernels(const std::string& isa) {
  if (isa.empty()) return &kernels::best_cpu_kernels();
  for (kernels::Isa candidate : kernels::kIsas) {
    const kernels::CpuKernels* found = kernels::cpu_kernels(candidate);
    if (found && isa == found->name) return found;
  }
  return invalid_argument("cpu", "instruction set \"", isa,
                          "\" is not one of this machine's (the best here is ",
                          kernels::best_cpu_kernels().name, ")");
}

/// A device that is held to an instruction set below the machine's asks no library, which would use
/// them all.
ProductEngines::Use engines_to_use(const CpuDeviceOptions& options,
                                   const kernels::CpuKernels& kernels) {
  const bool best = &kernels == &kernels::best_cpu_kernels();
  const bool library = best || options.products == ProductEngines::Use::kLibrary;
  return library ? options.products : ProductEngines::Use::kKernels;
}

class CpuDevice : public Device {
 public:
  CpuDevice(const CpuDeviceOptions& options, CoreChoice cores, const kernels::CpuKernels& kernels)
      : kernels_(kernels),
        engines_(kernels, cores.threads, engines_to_use(options, kernels)),
        exact_engines_(kernels, cores.threads, ProductEngines::Use::kExact),
        pool_(cores.threads, std::move(cores.bind)),
        worker_([this] { pool_.bind_caller(); }) {
    const int threads = pool_.threads();
    info_.name = options.name;
    info_.kind = "cpu";
    info_.description =
        absl::StrCat(threads, threads == 1 ? " thread, " : " threads, ", kernels.name);
    info_.memory_bytes = available_memory();
  }

  const DeviceInfo& info() const override { return info_; }

  Result<std::unique_ptr<Stage>> make_stage(const StageOptions& options) override {
    Result<std::unique_ptr<Stage>> stage = internal_error("cpu", "no stage made");
    ProductEngines& engines = options.exact ? exact_engines_ : engines_;
    worker_.run([&] { stage = CpuStage::create(options, kernels_, engines, pool_, worker_); });
    return stage;
  }

 private:
  const kernels::CpuKernels& kernels_;
  ProductEngines engines_, exact_engines_;
  DeviceInfo info_;
  ThreadPool pool_;
  DeviceWorker worker_;
};

}  // namespace

Result<std::unique_ptr<Device>> make_cpu_device(const CpuDeviceOptions& options) {
  MKM_ASSIGN_OR_RETURN(CoreChoice cores,
                       choose_cores({options.threads, options.cores, options.numa_node}));
  MKM_ASSIGN_OR_RETURN(const kernels::CpuKernels* kernels, find_kernels(options.isa));
  return std::make_unique<CpuDevice>(options, std::move(cores), *kernels);
}

}  // namespace mokume
