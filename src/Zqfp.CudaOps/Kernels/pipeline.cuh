// A thread's own asynchronous copies, in groups that are waited for in order.
#pragma once
#include "hopper.cuh"

// The block's dynamic shared memory, aligned to 16 bytes.
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]

// Sixteen bytes, both sides aligned to them; zeros where `valid` is not.
DEVICE void copy_ahead(float* target, const float* source, bool valid) { copy_16(shared_address(target), source, valid); }

DEVICE void close_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until all but the last `Open` groups are there.
template <int Open> DEVICE void wait_for_copies() { asm volatile("cp.async.wait_group %0;" :: "n"(Open) : "memory"); }
