#pragma once

// The signed claims of members, each held once however many tables refer to it: in a simulation the
// tables of all peers share them, so that one entry of one table costs 24 bytes.
//
// Thread    one; a pool and everything that refers to it stay on the same one

#include <cstddef>
#include <cstdint>
#include <unordered_set>
#include <utility>

#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "membership/messages.hpp"

namespace starling::membership {

class ClaimPool {
public:
    /// Refers to a claim in a pool and keeps it there.
    class Ref {
    public:
        Ref() = default;

        Ref(Ref&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}

        Ref& operator=(Ref&& other) noexcept {
            std::swap(slot_, other.slot_);
            return *this;
        }

        Ref(const Ref&) = delete;
        Ref& operator=(const Ref&) = delete;

        ~Ref() {
            if (slot_ != nullptr) release(slot_);
        }

        const Statement& operator*() const { return slot_->claim; }

        const Statement* operator->() const { return &slot_->claim; }

    private:
        friend class ClaimPool;

        struct Slot {
            Statement claim;
            ClaimPool* pool = nullptr;
            mutable std::uint32_t refs = 0;
        };

        explicit Ref(const Slot* slot) : slot_(slot) { ++slot->refs; }

        static void release(const Slot* slot);

        const Slot* slot_ = nullptr;
    };

    ClaimPool() = default;
    ClaimPool(const ClaimPool&) = delete;
    ClaimPool& operator=(const ClaimPool&) = delete;
    ClaimPool(ClaimPool&&) = delete;
    ClaimPool& operator=(ClaimPool&&) = delete;
    ~ClaimPool() = default;

    /// Returns the pool's copy of an Alive or Left statement. The pool must outlive it.
    [[nodiscard]] Ref intern(const Statement& claim);

private:
    struct Hash {
        std::size_t operator()(const Ref::Slot& slot) const noexcept;
    };

    struct Equal {
        bool operator()(const Ref::Slot& a, const Ref::Slot& b) const noexcept;
    };

    std::unordered_set<Ref::Slot, Hash, Equal> slots_;
};

}  // namespace starling::membership
