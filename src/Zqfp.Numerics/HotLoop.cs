using System.Runtime.CompilerServices;

namespace Zqfp.Numerics;

/// <summary>How a method that is one hot loop is compiled.</summary>
internal static class HotLoop
{
    /// <summary>
    /// With all optimizations from its first call on, and as a method of its own: from a profile of calls the JIT takes even loops into
    /// their callers, where their sums and tables no longer fit in the registers.
    /// </summary>
    public const MethodImplOptions Options = MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining;
}
