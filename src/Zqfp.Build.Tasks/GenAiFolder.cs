using Microsoft.Build.Framework;

namespace Zqfp.Build.Tasks;

/// <summary>A model in a folder of ONNX Runtime GenAI, which becomes such a folder in the output.</summary>
internal static class GenAiFolder
{
    /// <summary>The configuration that the folder has, and that its copy has with the operators' library.</summary>
    public const string Config = "genai_config.json";

    /// <summary>What GenAI's tokenizer needs; the copy has an empty one where the folder has none.</summary>
    public const string TokenizerConfig = "tokenizer_config.json";

    /// <summary>Whether a <c>ZqfpModel</c> asks for a folder.</summary>
    public static bool IsWanted(ITaskItem model) => model.GetMetadata("For").Trim() == "genai";

    /// <summary>
    /// The files of the folder that are copied as they are, as paths relative to it, in ordinal order: all but the configuration, the model
    /// and its data. Folders behind links are left out.
    /// </summary>
    public static IReadOnlyList<string> OtherFiles(string model)
    {
        string folder = Path.GetDirectoryName(model)!;
        var replaced = new HashSet<string>([Path.Combine(folder, Config), model, .. ExternalDataFiles.Of(model)], StringComparer.Ordinal);
        return [.. Files(folder).Where(file => !replaced.Contains(file)).Select(file => file.Substring(folder.Length + 1)).OrderBy(
            file => file, StringComparer.Ordinal)];
    }

    /// <summary>The name of the operators' native library in the copy; null where the profile needs none.</summary>
    public static string? Library(ITaskItem model)
    {
        string profile = model.GetMetadata("Profile").Trim();
        string named = model.GetMetadata("OperatorsLibrary").Trim();
        return profile is not ("" or "custom") ? null
            : named.Length > 0 ? Path.GetFileName(named.Replace('\\', '/'))
            : Path.DirectorySeparatorChar == '\\' ? "zqfp_ops.dll"
            : System.Runtime.InteropServices.RuntimeInformation.IsOSPlatform(System.Runtime.InteropServices.OSPlatform.OSX)
                ? "zqfp_ops.dylib"
            : "zqfp_ops.so";
    }

    private static IEnumerable<string> Files(string folder) => Directory.EnumerateFiles(folder)
        .Concat(Directory.EnumerateDirectories(folder)
            .Where(child => (File.GetAttributes(child) & FileAttributes.ReparsePoint) == 0)
            .SelectMany(Files));
}
