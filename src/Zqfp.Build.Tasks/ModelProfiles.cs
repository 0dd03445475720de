namespace Zqfp.Build.Tasks;

/// <summary>
/// The profiles a model is written in: the first is the model itself, each other one a file beside it, as the tool names it.
/// </summary>
internal static class ModelProfiles
{
    /// <summary>The profiles behind the first.</summary>
    public static IReadOnlyList<string> Further(string metadata) =>
        [.. metadata.Split(';', ',').Select(word => word.Trim()).Where(word => word.Length > 0).Distinct().Skip(1)];

    /// <summary>The files of a further profile.</summary>
    public static IEnumerable<string> Files(string model, string profile)
    {
        string path = Path.ChangeExtension(model, profile + Path.GetExtension(model));
        return [path, path + ".data"];
    }
}
