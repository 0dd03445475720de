namespace Zqfp.Tests;

/// <summary>A test that needs a file of the reference data, and skips with a message where that is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ReferenceFactAttribute : FactAttribute
{
    public ReferenceFactAttribute(params string[] files)
    {
        string? missing = files.FirstOrDefault(file => !Path.Exists(Repository.Reference(file)));
        Skip = missing is null ? null : $"Reference data '{missing}' is not on this machine.";
    }
}

/// <summary>A theory that needs a file of the reference data, and skips with a message where that is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ReferenceTheoryAttribute : TheoryAttribute
{
    public ReferenceTheoryAttribute(params string[] files)
    {
        string? missing = files.FirstOrDefault(file => !Path.Exists(Repository.Reference(file)));
        Skip = missing is null ? null : $"Reference data '{missing}' is not on this machine.";
    }
}
