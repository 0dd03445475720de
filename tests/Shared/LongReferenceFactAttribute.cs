namespace Zqfp.Tests;

/// <summary>A test of the reference data that takes minutes: it runs where <c>ZQFP_LONG_TESTS=1</c>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LongReferenceFactAttribute : FactAttribute
{
    public LongReferenceFactAttribute(params string[] files) => Skip = Environment.GetEnvironmentVariable("ZQFP_LONG_TESTS") == "1"
        ? new ReferenceFactAttribute(files).Skip
        : "Takes minutes; set ZQFP_LONG_TESTS=1 to run it.";
}
