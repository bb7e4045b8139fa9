#pragma once

// OpenCL's functions, as far as we call them. The library is opened by name when a device is asked
// for, and may be missing: nothing links it, and its headers need not be there when we are built.
//
// Thread    any; the library is opened once
// Source    Khronos, "The OpenCL Specification" 1.2: names, values and signatures

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace starling::compute::gpu::cl {

using Int = std::int32_t;
using Uint = std::uint32_t;
using Bool = std::uint32_t;
using Bits = std::uint64_t;
using Platform = struct PlatformTag*;
using Device = struct DeviceTag*;
using Context = struct ContextTag*;
using Queue = struct QueueTag*;
using Memory = struct MemoryTag*;
using Program = struct ProgramTag*;
using Kernel = struct KernelTag*;
using Event = struct EventTag*;

inline constexpr Int kSuccess = 0;
inline constexpr Int kDeviceNotFound = -1;
inline constexpr Int kAllocationFailure = -4;
inline constexpr Int kOutOfResources = -5;
inline constexpr Int kOutOfHostMemory = -6;
inline constexpr Int kInvalidBufferSize = -61;
inline constexpr Int kPlatformNotFound = -1001;  ///< of the loader: no driver is installed

inline constexpr Bits kTypeCpu = 1U << 1U;
inline constexpr Bits kTypeGpu = 1U << 2U;
inline constexpr Bits kTypeAll = 0xFFFFFFFFU;
inline constexpr Uint kPlatformVersion = 0x0901;
inline constexpr Uint kPlatformName = 0x0902;
inline constexpr Uint kDeviceType = 0x1000;
inline constexpr Uint kDeviceMaxGroup = 0x1004;
inline constexpr Uint kDeviceMaxAllocation = 0x1010;
inline constexpr Uint kDeviceGlobalMemory = 0x101F;
inline constexpr Uint kDeviceLocalMemory = 0x1023;
inline constexpr Uint kDeviceAvailable = 0x1027;
inline constexpr Uint kDeviceCompiler = 0x1028;
inline constexpr Uint kDeviceName = 0x102B;
inline constexpr Uint kDriverVersion = 0x102D;
inline constexpr Uint kDeviceExtensions = 0x1030;
// Where a card sits, and its number: cl_khr_pci_bus_info, cl_nv_device_attribute_query,
// cl_amd_device_attribute_query, cl_khr_device_uuid.
inline constexpr Uint kDevicePciBus = 0x410F;
inline constexpr Uint kDevicePciBusNvidia = 0x4008;
inline constexpr Uint kDevicePciSlotNvidia = 0x4009;
inline constexpr Uint kDevicePciDomainNvidia = 0x400A;
inline constexpr Uint kDeviceTopologyAmd = 0x4037;
inline constexpr Uint kDeviceUuid = 0x106A;
inline constexpr Uint kBuildLog = 0x1183;
inline constexpr Bits kReadWrite = 1U << 0U;
inline constexpr Bool kNotBlocking = 0;
inline constexpr Uint kEventStatus = 0x11D3;
/// An event's status is this when its command is done, more before that, and less when it has failed.
inline constexpr Int kComplete = 0;

/// The functions that we call, under the names of the specification without `cl`.
struct Api {
    Int (*GetPlatformIDs)(Uint, Platform*, Uint*) = nullptr;
    Int (*GetPlatformInfo)(Platform, Uint, std::size_t, void*, std::size_t*) = nullptr;
    Int (*GetDeviceIDs)(Platform, Bits, Uint, Device*, Uint*) = nullptr;
    Int (*GetDeviceInfo)(Device, Uint, std::size_t, void*, std::size_t*) = nullptr;
    Context (*CreateContext
    )(const std::intptr_t*,
      Uint,
      const Device*,
      void (*)(const char*, const void*, std::size_t, void*),
      void*,
      Int*) = nullptr;
    Int (*ReleaseContext)(Context) = nullptr;
    Queue (*CreateCommandQueue)(Context, Device, Bits, Int*) = nullptr;
    Int (*ReleaseCommandQueue)(Queue) = nullptr;
    Program (*CreateProgramWithSource
    )(Context, Uint, const char**, const std::size_t*, Int*) = nullptr;
    Int (*BuildProgram
    )(Program, Uint, const Device*, const char*, void (*)(Program, void*), void*) = nullptr;
    Int (*GetProgramBuildInfo)(Program, Device, Uint, std::size_t, void*, std::size_t*) = nullptr;
    Int (*ReleaseProgram)(Program) = nullptr;
    Kernel (*CreateKernel)(Program, const char*, Int*) = nullptr;
    Int (*SetKernelArg)(Kernel, Uint, std::size_t, const void*) = nullptr;
    Int (*ReleaseKernel)(Kernel) = nullptr;
    Memory (*CreateBuffer)(Context, Bits, std::size_t, void*, Int*) = nullptr;
    Int (*ReleaseMemObject)(Memory) = nullptr;
    Int (*EnqueueReadBuffer
    )(Queue, Memory, Bool, std::size_t, std::size_t, void*, Uint, const Event*, Event*) = nullptr;
    Int (*EnqueueWriteBuffer
    )(Queue, Memory, Bool, std::size_t, std::size_t, const void*, Uint, const Event*, Event*) =
        nullptr;
    Int (*EnqueueCopyBuffer
    )(Queue, Memory, Memory, std::size_t, std::size_t, std::size_t, Uint, const Event*, Event*) =
        nullptr;
    Int (*EnqueueFillBuffer
    )(Queue,
      Memory,
      const void*,
      std::size_t,
      std::size_t,
      std::size_t,
      Uint,
      const Event*,
      Event*) = nullptr;
    Int (*EnqueueNDRangeKernel
    )(Queue,
      Kernel,
      Uint,
      const std::size_t*,
      const std::size_t*,
      const std::size_t*,
      Uint,
      const Event*,
      Event*) = nullptr;
    Int (*EnqueueMarkerWithWaitList)(Queue, Uint, const Event*, Event*) = nullptr;
    Int (*Flush)(Queue) = nullptr;
    Int (*GetEventInfo)(Event, Uint, std::size_t, void*, std::size_t*) = nullptr;
    Int (*SetEventCallback)(Event, Int, void (*)(Event, Int, void*), void*) = nullptr;
    Int (*ReleaseEvent)(Event) = nullptr;
};

/// Returns the functions of libOpenCL.so.1, which stays open.
/// Errors    NotFound: the library is not there, or lacks a function
[[nodiscard]] Result<const Api*> api();

/// Returns what a status means, for instance `-4 (out of device memory)`.
[[nodiscard]] std::string describe(Int status);

/// Returns true for the statuses of memory that there is not.
[[nodiscard]] bool out_of_memory(Int status);

}  // namespace starling::compute::gpu::cl
