// D[64, Features] += A[64, 32] * B[32, Features] in FP8, both from shared memory in the layout of swizzled_descriptor: for weights that
// are not decoded on the way. `a` and `b` are the low words of their descriptors.
#pragma once
#include "wgmma.cuh"

template <int Features> struct SharedWgmma;

#define OUT16(o) "+f"(d[o]), "+f"(d[o + 1]), "+f"(d[o + 2]), "+f"(d[o + 3]), "+f"(d[o + 4]), "+f"(d[o + 5]), "+f"(d[o + 6]), "+f"(d[o + 7]), \
    "+f"(d[o + 8]), "+f"(d[o + 9]), "+f"(d[o + 10]), "+f"(d[o + 11]), "+f"(d[o + 12]), "+f"(d[o + 13]), "+f"(d[o + 14]), "+f"(d[o + 15])

#define NAMES0 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define NAMES1 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NAMES2 "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define NAMES3 "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NAMES4 "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define NAMES5 "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define NAMES6 "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111"
#define NAMES7 "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

// Features, how many sums a thread holds, their names, their places, and the names of the three inputs behind them.
#define SHARED_WGMMA(features, sums, names, places, a_name, b_name, high_name) \
    template <> struct SharedWgmma<features> \
    { \
        static DEVICE void multiply(float (&d)[sums], u32 a, u32 b) \
        { \
            asm volatile( \
                "{ .reg .b64 a, b; mov.b64 a, {" a_name ", " high_name "}; mov.b64 b, {" b_name ", " high_name "};\n" \
                "wgmma.mma_async.sync.aligned.m64n" #features "k32.f32.e4m3.e4m3 {" names "}, a, b, 1, 1, 1; }" \
                : places : "r"(a), "r"(b), "n"(SwizzledHigh)); \
        } \
    }

#define PLACES32 OUT16(0)
SHARED_WGMMA(32, 16, NAMES0, PLACES32, "%16", "%17", "%18");
#define PLACES64 OUT16(0), OUT16(16)
SHARED_WGMMA(64, 32, NAMES0 ", " NAMES1, PLACES64, "%32", "%33", "%34");
#define PLACES96 OUT16(0), OUT16(16), OUT16(32)
SHARED_WGMMA(96, 48, NAMES0 ", " NAMES1 ", " NAMES2, PLACES96, "%48", "%49", "%50");
#define PLACES128 OUT16(0), OUT16(16), OUT16(32), OUT16(48)
SHARED_WGMMA(128, 64, NAMES0 ", " NAMES1 ", " NAMES2 ", " NAMES3, PLACES128, "%64", "%65", "%66");
#define PLACES160 OUT16(0), OUT16(16), OUT16(32), OUT16(48), OUT16(64)
SHARED_WGMMA(160, 80, NAMES0 ", " NAMES1 ", " NAMES2 ", " NAMES3 ", " NAMES4, PLACES160, "%80", "%81", "%82");
#define PLACES192 OUT16(0), OUT16(16), OUT16(32), OUT16(48), OUT16(64), OUT16(80)
SHARED_WGMMA(192, 96, NAMES0 ", " NAMES1 ", " NAMES2 ", " NAMES3 ", " NAMES4 ", " NAMES5, PLACES192, "%96", "%97", "%98");
#define PLACES224 OUT16(0), OUT16(16), OUT16(32), OUT16(48), OUT16(64), OUT16(80), OUT16(96)
SHARED_WGMMA(224, 112, NAMES0 ", " NAMES1 ", " NAMES2 ", " NAMES3 ", " NAMES4 ", " NAMES5 ", " NAMES6, PLACES224, "%112", "%113", "%114");
#define PLACES256 OUT16(0), OUT16(16), OUT16(32), OUT16(48), OUT16(64), OUT16(80), OUT16(96), OUT16(112)
SHARED_WGMMA(256, 128, NAMES0 ", " NAMES1 ", " NAMES2 ", " NAMES3 ", " NAMES4 ", " NAMES5 ", " NAMES6 ", " NAMES7, PLACES256, "%128", "%129", "%130");
