namespace Zqfp.Tests;

/// <summary>A test of the reference data that takes minutes: it runs where <c>ZQFP_LONG_TESTS=1</c>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LongReferenceFactAttribute : FactAttribute
{
    public LongReferenceFactAttribute(params string[] files) => Skip = LongTests.Skip(files);
}

/// <summary>A theory of the reference data that takes minutes: it runs where <c>ZQFP_LONG_TESTS=1</c>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LongReferenceTheoryAttribute : TheoryAttribute
{
    public LongReferenceTheoryAttribute(params string[] files) => Skip = LongTests.Skip(files);
}

/// <summary>Why a long test of the reference data does not run here.</summary>
internal static class LongTests
{
    public static string? Skip(string[] files) => Environment.GetEnvironmentVariable("ZQFP_LONG_TESTS") == "1"
        ? new ReferenceFactAttribute(files).Skip
        : "Takes minutes; set ZQFP_LONG_TESTS=1 to run it.";
}
