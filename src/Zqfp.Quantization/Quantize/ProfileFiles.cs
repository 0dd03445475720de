using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Which file each profile of one quantization goes to.</summary>
internal static class ProfileFiles
{
    /// <summary>
    /// The first profile goes to the output path; another one to that path with its name before the extension: <c>model.portable.onnx</c>.
    /// </summary>
    public static IReadOnlyList<(EmissionProfile Profile, string Path)> Of(QuantizeOptions options) =>
        [.. options.Profiles.Distinct()
            .Select((profile, i) => (profile, i == 0 ? options.OutputPath : Beside(options.OutputPath, profile)))];

    private static string Beside(string path, EmissionProfile profile) =>
        Path.ChangeExtension(path, profile.Name() + Path.GetExtension(path));
}
