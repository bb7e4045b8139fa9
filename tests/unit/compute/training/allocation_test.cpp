// Goal: a step allocates nothing, so its time and memory cannot drift.
// Method: this program's operator new counts. oneDNN fills a small argument table of its own in
// each execution, which we cannot avoid: calls from inside its library are counted apart, and must
// stay small.

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <new>

#include "compute/models/models.hpp"
#include "tests/unit/compute/support/synthetic.hpp"
#include "tests/unit/compute/support/threads.hpp"

namespace {

std::atomic<bool> counting{false};
std::atomic<long> ours{0};
std::atomic<long> large{0};

void note(std::size_t bytes, void* caller) {
    if (!counting) return;
    if (bytes >= 4096) ++large;
    Dl_info info{};
    const bool known = dladdr(caller, &info) != 0 && info.dli_fname != nullptr;
    if (!known || std::strstr(info.dli_fname, "dnnl") == nullptr) ++ours;
}

void* take(std::size_t bytes, std::size_t alignment) {
    const auto rounded = (bytes + alignment) / alignment * alignment;
    void* p = std::aligned_alloc(alignment, rounded);
    if (p == nullptr) throw std::bad_alloc();
    return p;
}

/// Not inline, or g++ takes the pair of our new and free for a mismatch.
[[gnu::noinline]] void release(void* p) {
    std::free(p);
}

}  // namespace

void* operator new(std::size_t bytes) {
    note(bytes, __builtin_return_address(0));
    return take(bytes, alignof(std::max_align_t));
}

void* operator new[](std::size_t bytes) {
    note(bytes, __builtin_return_address(0));
    return take(bytes, alignof(std::max_align_t));
}

void* operator new(std::size_t bytes, std::align_val_t alignment) {
    note(bytes, __builtin_return_address(0));
    return take(bytes, static_cast<std::size_t>(alignment));
}

void* operator new[](std::size_t bytes, std::align_val_t alignment) {
    note(bytes, __builtin_return_address(0));
    return take(bytes, static_cast<std::size_t>(alignment));
}

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    note(bytes, __builtin_return_address(0));
    return std::malloc(bytes);
}

void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
    note(bytes, __builtin_return_address(0));
    return std::malloc(bytes);
}

void operator delete(void* p) noexcept {
    release(p);
}

void operator delete[](void* p) noexcept {
    release(p);
}

void operator delete(void* p, std::size_t) noexcept {
    release(p);
}

void operator delete[](void* p, std::size_t) noexcept {
    release(p);
}

void operator delete(void* p, std::align_val_t) noexcept {
    release(p);
}

void operator delete[](void* p, std::align_val_t) noexcept {
    release(p);
}

void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
    release(p);
}

void operator delete[](void* p, std::size_t, std::align_val_t) noexcept {
    release(p);
}

namespace starling::compute {
namespace {

void expect_no_allocation(const char* model, int threads) {
    EngineOptions options;
    options.model = model;
    options.task = {{1, 28, 28}, 10};
    options.batch = 16;
    options.eval_batch = 16;
    options.threads = threads_here(threads);
    ParameterStore store(*model_layout(options.model, options.task));
    store.initialize(Rng(1));
    auto engine = Engine::create(options, store);
    ASSERT_TRUE(engine.has_value());
    const auto batch = synthetic_samples(options.task, 16, 1);
    // The first call starts OpenMP's threads.
    (void)(*engine)->step({batch.values, batch.labels}, 0.01);
    (void)(*engine)->evaluate({batch.values, batch.labels});
    ours = 0;
    large = 0;
    counting = true;
    for (int i = 0; i < 3; ++i) (void)(*engine)->step({batch.values, batch.labels}, 0.01);
    (void)(*engine)->evaluate({batch.values, batch.labels});
    counting = false;
    EXPECT_EQ(ours, 0) << model;
    EXPECT_EQ(large, 0) << model;
}

TEST(Allocation, CounterSeesAnAllocation) {
    ours = 0;
    counting = true;
    const auto text = std::make_unique<std::vector<float>>(5000);
    counting = false;
    EXPECT_EQ(text->size(), 5000U);
    EXPECT_GE(ours, 2);
    EXPECT_GE(large, 1);
}

TEST(Allocation, AnMlpStepAllocatesNothing) {
    expect_no_allocation("mlp", 1);
    expect_no_allocation("mlp", 2);
}

TEST(Allocation, ACnnStepAllocatesNothing) {
    expect_no_allocation("cnn", 1);
    expect_no_allocation("cnn", 2);
}

}  // namespace
}  // namespace starling::compute
