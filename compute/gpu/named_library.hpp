#pragma once

// A library that is opened by name when a device is asked for, and may be missing: nothing is linked.

#include <dlfcn.h>
#include <string>
#include <utility>

namespace starling::compute::gpu {

/// Thread    any one at a time
class NamedLibrary {
public:
    /// Opens the library, which stays open. `remedy` says what is so without it, or where it comes from.
    NamedLibrary(std::string name, const std::string& remedy)
        : name_(std::move(name)),
          library_(::dlopen(name_.c_str(), RTLD_NOW | RTLD_LOCAL)) {
        if (library_ == nullptr) why_ = name_ + " not found" + remedy;
    }

    /// Takes one function; none where the library lacks it or is missing.
    template <class Function>
    void take(const char* function, Function& to) {
        if (library_ == nullptr) return;
        void* symbol = ::dlsym(library_, function);
        if (symbol == nullptr && why_.empty()) why_ = name_ + " has no " + function;
        // POSIX wants this conversion to work; C++ only allows it conditionally.
        to = reinterpret_cast<Function>(symbol);
    }

    /// Returns why the library cannot be used: it is missing, or lacks a function. Empty: it can.
    [[nodiscard]] const std::string& why() const { return why_; }

private:
    std::string name_;
    void* library_;
    std::string why_;
};

}  // namespace starling::compute::gpu
