namespace Zqfp.Reliability.Tests;

/// <summary>Tests that measure their own process: nothing runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
