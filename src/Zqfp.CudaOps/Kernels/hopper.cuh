// PTX building blocks for sm_90a, without any CUDA header. Conversions and what starts kernels early serve every architecture from sm_80 on.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define DEVICE __device__ __forceinline__

// A 128-byte TMA descriptor, passed by value as a kernel parameter.
struct __align__(64) TensorMap { u64 opaque[16]; };

// ---- addresses ---------------------------------------------------------------------------------

DEVICE u32 shared_address(const void* pointer)
{
    u32 address;
    asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(address) : "l"(pointer));
    return address;
}

// The address, in the cluster's window, of `address` as seen by the CTA of that rank.
template <int Cluster> DEVICE u32 peer_address(u32 address, u32 rank)
{
    if (Cluster == 1) return address;
    u32 peer;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(peer) : "r"(address), "r"(rank));
    return peer;
}

// Two floats at `address` of the CTA of that rank.
template <int Cluster> DEVICE float2 load_pair(u32 address, u32 rank)
{
    float2 pair;
    if (Cluster == 1)
        asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(pair.x), "=f"(pair.y) : "r"(address) : "memory");
    else
        asm volatile("ld.shared::cluster.v2.f32 {%0, %1}, [%2];"
            : "=f"(pair.x), "=f"(pair.y) : "r"(peer_address<Cluster>(address, rank)) : "memory");
    return pair;
}

DEVICE u32 load_shared(u32 address)
{
    u32 value;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(value) : "r"(address) : "memory");
    return value;
}

DEVICE void store_shared(u32 address, float value)
{
    asm volatile("st.shared.f32 [%0], %1;" :: "r"(address), "f"(value) : "memory");
}

// ---- barriers ----------------------------------------------------------------------------------

DEVICE void barrier_init(u32 barrier, u32 count)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(barrier), "r"(count) : "memory");
}

// Makes initialized barriers visible to the copy engine and to the other CTAs of the cluster.
DEVICE void barrier_init_fence()
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

DEVICE void barrier_arrive(u32 barrier)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(barrier) : "memory");
}

DEVICE void barrier_arrive_peer(u32 peerBarrier)
{
    asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" :: "r"(peerBarrier) : "memory");
}

DEVICE void barrier_expect(u32 barrier, u32 bytes)
{
    asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" :: "r"(barrier), "r"(bytes) : "memory");
}

DEVICE void barrier_arrive_expect(u32 barrier, u32 bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(barrier), "r"(bytes) : "memory");
}

DEVICE void barrier_wait(u32 barrier, u32 parity)
{
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "WAIT:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@done bra DONE;\n"
        "bra WAIT;\n"
        "DONE:\n"
        "}" :: "r"(barrier), "r"(parity) : "memory");
}

// As barrier_wait, and what the other CTAs of the cluster wrote before they arrived is visible after it.
DEVICE void barrier_wait_cluster(u32 barrier, u32 parity)
{
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "WAIT:\n"
        "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
        "@done bra DONE;\n"
        "bra WAIT;\n"
        "DONE:\n"
        "}" :: "r"(barrier), "r"(parity) : "memory");
}

DEVICE void cluster_arrive() { asm volatile("barrier.cluster.arrive.release;" ::: "memory"); }
DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }

// Barrier 1 among the math warps only; the producer warp runs ahead of it.
template <int Threads> DEVICE void math_sync() { asm volatile("bar.sync 1, %0;" :: "n"(Threads) : "memory"); }

// ---- programmatic dependent launch -------------------------------------------------------------

// Before sm_90 a kernel begins when the one before it has ended.
DEVICE void launch_dependents()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
DEVICE void wait_for_previous_grid()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// ---- registers ---------------------------------------------------------------------------------

template <int Count> DEVICE void keep_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(Count)); }
template <int Count> DEVICE void take_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(Count)); }

// What is computed from the result stays behind this point: addresses of an epilogue are not worth registers of the loop.
DEVICE int keep_here(int value)
{
    asm volatile("" : "+r"(value) :: "memory");
    return value;
}

// ---- copy engine -------------------------------------------------------------------------------

DEVICE u64 evict_first_policy()
{
    u64 policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

DEVICE void copy_bulk(u32 target, const void* source, u32 bytes, u32 barrier, u64 policy)
{
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;"
        :: "r"(target), "l"(source), "r"(bytes), "r"(barrier), "l"(policy) : "memory");
}

// One float by the thread's own asynchronous copies; zero where `valid` is not.
DEVICE void copy_float(u32 target, const float* source, bool valid)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" :: "r"(target), "l"(source), "r"(valid ? 4 : 0) : "memory");
}

// Sixteen bytes likewise.
DEVICE void copy_16(u32 target, const void* source, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(target), "l"(source), "r"(valid ? 16 : 0) : "memory");
}

// Two floats that other multiprocessors wrote meanwhile: not from the first-level cache.
DEVICE float2 load_pair_uncached(const float* address)
{
    float2 pair;
    asm volatile("ld.global.cg.v2.f32 {%0, %1}, [%2];" : "=f"(pair.x), "=f"(pair.y) : "l"(address) : "memory");
    return pair;
}

DEVICE void prefetch(const void* address) { asm volatile("prefetch.global.L2 [%0];" :: "l"(address)); }

// What threads wrote to shared memory, and this thread has waited for, the tensor cores and the copy engine see from here on.
DEVICE void tensor_core_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Closes a group of the thread's own asynchronous copies; waits for all groups but the last few.
DEVICE void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int Pending> DEVICE void copies_wait_but() { asm volatile("cp.async.wait_group %0;" :: "n"(Pending) : "memory"); }

DEVICE void copies_wait() { asm volatile("cp.async.wait_all;" ::: "memory"); }

DEVICE void copy_box(u32 target, const TensorMap* map, int x, int y, u32 barrier)
{
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
        :: "r"(target), "l"(map), "r"(x), "r"(y), "r"(barrier) : "memory");
}

// ---- warpgroup matrix multiply -----------------------------------------------------------------

DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int Pending> DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(Pending) : "memory"); }

// Low word of the descriptor of a K-major operand in shared memory: rows of 128 bytes, 128-byte swizzle, 8-row groups of
// 1024 bytes. `address` is a multiple of 1024; 2 more is 32 bytes further in the 128-byte row.
DEVICE u32 swizzled_descriptor(u32 address) { return ((address & 0x3FFFFu) >> 4) | (1u << 16); }

// D[16, 8] += A[16, 8] * B[8, 8] in tf32 by one warp, in the fragment order of wgmma's accumulators.
DEVICE void multiply_tf32(float* d, const u32 (&a)[4], u32 b0, u32 b1)
{
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- arithmetic --------------------------------------------------------------------------------

// Quotients by one number, correctly rounded: a product with the reciprocal, corrected twice. Where the divisor or its reciprocal is
// not a usual number, by division.
struct Divisor
{
    float number, reciprocal;
    bool usual;
    DEVICE explicit Divisor(float divisor)
    {
        number = divisor;
        reciprocal = __frcp_rn(divisor);
        usual = divisor > 1e-30f && divisor < 1e30f;
    }
    DEVICE float of(float x) const
    {
        if (!usual) return __fdiv_rn(x, number);
        float quotient = __fmul_rn(x, reciprocal);
        quotient = __fmaf_rn(__fmaf_rn(-quotient, number, x), reciprocal, quotient);

        // The corrections make of a negative zero a positive one; the divisor is positive here.
        return copysignf(__fmaf_rn(__fmaf_rn(-quotient, number, x), reciprocal, quotient), x);
    }
};

// ---- conversions -------------------------------------------------------------------------------

#if __CUDA_ARCH__ >= 890
// Two floats to two E4M3 bytes: `low` in bits 0..7, `high` in bits 8..15; nearest even, saturating at 448.
DEVICE u16 to_e4m3x2(float low, float high)
{
    u16 pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %2, %1;" : "=h"(pair) : "f"(low), "f"(high));
    return pair;
}

// Two E4M3 bytes, of which others may stand above, as two halves.
DEVICE u32 to_half_pair(u32 codes)
{
    u32 pair;
    asm("{ .reg .b16 a, b; mov.b32 {a, b}, %1; cvt.rn.f16x2.e4m3x2 %0, a; }" : "=r"(pair) : "r"(codes));
    return pair;
}
#else
// The same bits without the instructions: below 2^-6 the codes count steps of 2^-9, which is the last place of numbers from 2^14 on.
DEVICE u32 to_e4m3(float value)
{
    u32 bits = __float_as_uint(value), magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return 0x7Fu;
    u32 code = magnitude < 0x3C800000u ? __float_as_uint(__uint_as_float(magnitude) + 16384.0f) - 0x46800000u
        : ((magnitude + 0x7FFFFu + ((magnitude >> 20) & 1u)) >> 20) - (120u << 3);
    return (bits >> 24 & 0x80u) | min(code, 0x7Eu);
}

DEVICE u16 to_e4m3x2(float low, float high) { return (u16)(to_e4m3(low) | to_e4m3(high) << 8); }

// A code's exponent and mantissa in a half's places are 2^-8 times its value.
DEVICE u32 to_half_pair(u32 codes)
{
    u32 spread = (codes & 0xFFu) | (codes & 0xFF00u) << 8, pair;
    u32 bits = (spread & 0x00800080u) << 8 | (spread & 0x007F007Fu) << 7;
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(pair) : "r"(bits), "r"(0x5C005C00u));
    if ((spread & 0x7Fu) == 0x7Fu) pair |= 0x7E00u;
    if ((spread & 0x7F0000u) == 0x7F0000u) pair |= 0x7E000000u;
    return pair;
}
#endif

DEVICE void from_e4m3x2(u16 pair, float& low, float& high)
{
    asm("{ .reg .b16 a, b; mov.b32 {a, b}, %2; cvt.f32.f16 %0, a; cvt.f32.f16 %1, b; }" : "=f"(low), "=f"(high) : "r"(to_half_pair(pair)));
}

DEVICE float from_e4m3(u8 bits)
{
    float low, high;
    from_e4m3x2(bits, low, high);
    return low;
}

// Four E4M3 bytes times a power of two (a pair of equal float16), exact where the result is representable.
DEVICE u32 scale_e4m3x4(u32 bytes, u32 factors)
{
    u32 result;
    asm("{ .reg .b16 a, b; .reg .b32 x, y; mov.b32 {a, b}, %1;\n"
        "cvt.rn.f16x2.e4m3x2 x, a; cvt.rn.f16x2.e4m3x2 y, b;\n"
        "mul.rn.f16x2 x, x, %2; mul.rn.f16x2 y, y, %2;\n"
        "cvt.rn.satfinite.e4m3x2.f16x2 a, x; cvt.rn.satfinite.e4m3x2.f16x2 b, y; mov.b32 %0, {a, b}; }"
        : "=r"(result) : "r"(bytes), "r"(factors));
    return result;
}

DEVICE float half_to_float(u16 bits)
{
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

// Two halves to two floats' bits; exact in tf32 too.
DEVICE void from_half_pair(u32 pair, u32& low, u32& high)
{
    low = __float_as_uint(half_to_float((u16)pair));
    high = __float_as_uint(half_to_float((u16)(pair >> 16)));
}

DEVICE u32 to_tf32(float value)
{
    u32 bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
    return bits;
}

DEVICE float bfloat_to_float(u16 bits) { return __uint_as_float((u32)bits << 16); }

DEVICE u16 float_to_half(float value)
{
    u16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

DEVICE u16 float_to_bfloat(float value)
{
    u16 bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

// Element types of activations and outputs.
struct Float32
{
    typedef float Storage;
    static DEVICE float from_bits(u16) { return 0.0f; } // 16-bit types only
    static DEVICE u16 to_bits(float) { return 0; }
    static DEVICE float round(float value) { return value; }
    static DEVICE float load(const void* base, u64 index) { return ((const float*)base)[index]; }
    static DEVICE void store(void* base, u64 index, float value) { ((float*)base)[index] = value; }
    // `index` is even.
    static DEVICE void store_pair(void* base, u64 index, float first, float second) { ((float2*)((float*)base + index))[0] = float2{ first, second }; }
};

struct Float16
{
    typedef u16 Storage;
    static DEVICE float from_bits(u16 bits) { return half_to_float(bits); }
    static DEVICE u16 to_bits(float value) { return float_to_half(value); }
    static DEVICE float round(float value) { return from_bits(to_bits(value)); }
    static DEVICE float load(const void* base, u64 index) { return half_to_float(((const u16*)base)[index]); }
    static DEVICE void store(void* base, u64 index, float value) { ((u16*)base)[index] = float_to_half(value); }
    // `index` is even.
    static DEVICE void store_pair(void* base, u64 index, float first, float second) { *(u32*)((u16*)base + index) = (u32)float_to_half(first) | ((u32)float_to_half(second) << 16); }
};

struct BFloat16
{
    typedef u16 Storage;
    static DEVICE float from_bits(u16 bits) { return bfloat_to_float(bits); }
    static DEVICE u16 to_bits(float value) { return float_to_bfloat(value); }
    static DEVICE float round(float value) { return from_bits(to_bits(value)); }
    static DEVICE float load(const void* base, u64 index) { return bfloat_to_float(((const u16*)base)[index]); }
    static DEVICE void store(void* base, u64 index, float value) { ((u16*)base)[index] = float_to_bfloat(value); }
    // `index` is even.
    static DEVICE void store_pair(void* base, u64 index, float first, float second) { *(u32*)((u16*)base + index) = (u32)float_to_bfloat(first) | ((u32)float_to_bfloat(second) << 16); }
};

// Tokens that are quantized already.
struct Fp8
{
    typedef u8 Storage;
    static DEVICE float load(const void* base, u64 index) { return from_e4m3(((const u8*)base)[index]); }
};
