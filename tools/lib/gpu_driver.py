"""What the CUDA driver says of a GPU, asked without anything that is built."""

import ctypes
from dataclasses import dataclass

MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
OLDEST = (8, 0)
# Those with instructions that later GPUs have not.
ARCHITECTURES_OF_THEIR_OWN = {(9, 0), (10, 0), (12, 0)}


class NoGpu(Exception):
    """There is none to be had: why, and what to do."""


@dataclass(frozen=True)
class Gpu:
    index: int
    name: str
    capability: tuple[int, int]
    memory_bytes: int
    driver: str

    @property
    def architecture(self) -> str:
        """As MOKUME_CUDA_ARCHITECTURES takes it."""
        suffix = "a" if self.capability in ARCHITECTURES_OF_THEIR_OWN else ""
        return f"{self.capability[0]}{self.capability[1]}{suffix}-real"

    def __str__(self) -> str:
        return (f"{self.name}, compute capability {self.capability[0]}.{self.capability[1]}, "
                f"{self.memory_bytes / 2**30:.1f} GiB, driver for CUDA {self.driver}")


def open_driver() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise NoGpu(
            "no CUDA driver: libcuda.so.1 is not here. This wants a machine with an NVIDIA GPU of compute capability 8.0 "
            "or later and NVIDIA's driver (Debian: the package nvidia-driver; a container: docker run --gpus all). "
            "--simulated tries the tool itself without a GPU") from None


def find(index: int) -> Gpu:
    """NoGpu when the driver is missing or does not start, or has no such GPU, or has too old a one."""
    driver = open_driver()

    def call(name: str, *arguments) -> None:
        status = getattr(driver, name)(*arguments)
        if status != 0:
            raise NoGpu(f"the CUDA driver does not answer ({name}: error {status}); nvidia-smi says more. After an update "
                        "of the driver the machine has to be started anew")

    version, count, device = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    call("cuInit", 0)
    call("cuDriverGetVersion", ctypes.byref(version))
    call("cuDeviceGetCount", ctypes.byref(count))
    if index >= count.value:
        raise NoGpu(f"there is no GPU with index {index}: the driver has {count.value}, counted from 0")
    call("cuDeviceGet", ctypes.byref(device), index)
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    call("cuDeviceGetName", name, len(name), device)
    call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    capability = []
    for attribute in (MAJOR, MINOR):
        value = ctypes.c_int()
        call("cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
        capability.append(value.value)
    gpu = Gpu(index, name.value.decode(errors="replace"), (capability[0], capability[1]), memory.value,
              f"{version.value // 1000}.{version.value % 1000 // 10}")
    if gpu.capability < OLDEST:
        raise NoGpu(f"{gpu}: compute capability 8.0 is the oldest that mokume has kernels for")
    return gpu
