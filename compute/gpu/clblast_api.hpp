#pragma once

// CLBlast's products in f32, as far as we call them. The library is opened by name when an OpenCL
// device is asked for, and may be missing.
//
// Thread    any; the library is opened once
// Source    CLBlast 1.5, include/clblast_c.h: names, values and signatures

#include <cstddef>

#include "compute/gpu/opencl_api.hpp"

namespace starling::compute::gpu::clblast {

inline constexpr int kRowMajor = 101;
inline constexpr int kPlain = 111;
inline constexpr int kTurned = 112;

/// Statuses are OpenCL's, or these and below: what CLBlast refuses by itself.
inline constexpr cl::Int kFirstOfItsOwn = -1024;

struct Api {
    /// Layout, turned or not for A and B; rows, columns, depth, alpha; for A and B buffer, offset and
    /// pitch; beta; the same for C; queue and event.
    cl::Int (*Sgemm
    )(int,
      int,
      int,
      std::size_t,
      std::size_t,
      std::size_t,
      float,
      cl::Memory,
      std::size_t,
      std::size_t,
      cl::Memory,
      std::size_t,
      std::size_t,
      float,
      cl::Memory,
      std::size_t,
      std::size_t,
      cl::Queue*,
      cl::Event*) = nullptr;
    /// The same with a step from batch to batch after each pitch, and the number of batches before the queue.
    cl::Int (*SgemmStridedBatched
    )(int,
      int,
      int,
      std::size_t,
      std::size_t,
      std::size_t,
      float,
      cl::Memory,
      std::size_t,
      std::size_t,
      std::size_t,
      cl::Memory,
      std::size_t,
      std::size_t,
      std::size_t,
      float,
      cl::Memory,
      std::size_t,
      std::size_t,
      std::size_t,
      std::size_t,
      cl::Queue*,
      cl::Event*) = nullptr;
};

/// Returns the functions of libclblast.so.1, which stays open.
/// Errors    NotFound: the library is not there, or lacks a function
[[nodiscard]] Result<const Api*> api();

}  // namespace starling::compute::gpu::clblast
