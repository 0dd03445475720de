// Stands in for Kernels/pipeline.cuh where kernels run on the processor: what of CUDA C++ they use, in C++. The threads of a block are
// fibers that take turns at every barrier; blocks run one after another.
#pragma once
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define DEVICE static inline
#define __device__
#define __global__
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define DYNAMIC_SHARED(type, name) type* name = (type*)emulation::dynamic

struct uint3 { u32 x, y, z; };
struct float4 { float x, y, z, w; };
static inline float4 make_float4(float x, float y, float z, float w) { return { x, y, z, w }; }
static inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline double __dsqrt_rn(double a) { return __builtin_sqrt(a); }
static inline u32 __float_as_uint(float a) { u32 bits; memcpy(&bits, &a, 4); return bits; }
static inline float __uint_as_float(u32 a) { float value; memcpy(&value, &a, 4); return value; }

static uint3 threadIdx, blockIdx, gridDim;

namespace emulation
{
    static void* dynamic;
    static ucontext_t scheduler;
    static std::vector<ucontext_t> fibers;
    static std::vector<char> ended;
    static int current;
    static void (*body)(void*);
    static void* arguments;

    static void run()
    {
        body(arguments);
        ended[current] = 1;
        swapcontext(&fibers[current], &scheduler);
    }

    template <class... A, size_t... I> void call(void (*kernel)(A...), void** values, std::index_sequence<I...>)
    {
        kernel(*(A*)values[I]...);
    }

    template <class... A> void launch(void (*kernel)(A...), void** values, u32 x, u32 y, u32 z, u32 threads, u32 shared)
    {
        const size_t Stack = 1 << 17;
        std::vector<char> stacks(Stack * threads);
        struct Call { void (*kernel)(A...); void** values; } one { kernel, values };
        body = [](void* c) { call(((Call*)c)->kernel, ((Call*)c)->values, std::index_sequence_for<A...>()); };
        arguments = &one;
        dynamic = aligned_alloc(256, (shared + 256) & ~255u);
        fibers.resize(threads);
        gridDim = { x, y, z };
        for (u32 block = 0; block < x * y * z; block++)
        {
            blockIdx = { block % x, block / x % y, block / x / y };
            ended.assign(threads, 0);
            for (u32 t = 0; t < threads; t++)
            {
                getcontext(&fibers[t]);
                fibers[t].uc_stack.ss_sp = stacks.data() + t * Stack;
                fibers[t].uc_stack.ss_size = Stack;
                fibers[t].uc_link = nullptr;
                makecontext(&fibers[t], run, 0);
            }
            for (u32 left = threads; left > 0;)
            {
                left = 0;
                for (u32 t = 0; t < threads; t++)
                {
                    if (ended[t]) continue;
                    current = t;
                    threadIdx = { t, 0, 0 };
                    swapcontext(&scheduler, &fibers[t]);
                    left += !ended[t];
                }
            }
        }
        free(dynamic);
    }
}

static inline void __syncthreads() { swapcontext(&emulation::fibers[emulation::current], &emulation::scheduler); }

DEVICE void __syncwarp() {}

DEVICE void copy_ahead(float* target, const float* source, bool valid)
{
    if (valid) memcpy(target, source, 16); else memset(target, 0, 16);
}

DEVICE void close_copies() {}

template <int Open> DEVICE void wait_for_copies() {}

#define EMULATED_KERNEL(name) extern "C" void launch_##name(void** values, u32 x, u32 y, u32 z, u32 threads, u32 shared) \
    { emulation::launch(&name, values, x, y, z, threads, shared); }
