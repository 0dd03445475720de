
namespace Zqfp.CudaOps.Tests;

/// <summary>A test that needs NVRTC; skipped, with a message, where it is not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CompilerFactAttribute : FactAttribute
{
    internal const string Missing = "NVRTC 12 or 13 is not installed (eng/nvrtc.md says how to get it without a GPU).";

    public CompilerFactAttribute() => Skip = KernelCompiler.IsAvailable ? null : Missing;
}

/// <summary>As <see cref="CompilerFactAttribute"/>, with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CompilerTheoryAttribute : TheoryAttribute
{
    public CompilerTheoryAttribute() => Skip = KernelCompiler.IsAvailable ? null : CompilerFactAttribute.Missing;
}
