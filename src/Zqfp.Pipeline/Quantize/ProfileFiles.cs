using Zqfp.OnnxRewriter.Emission;

namespace Zqfp.Pipeline.Quantize;

/// <summary>Which file each profile of one quantization goes to.</summary>
public static class ProfileFiles
{
    /// <summary>The first profile goes to the output path; another one to that path with its name before the extension: <c>model.portable.onnx</c>.</summary>
    public static IReadOnlyList<(EmissionProfile Profile, string Path)> Of(QuantizeOptions options) =>
        [.. options.Profiles.Distinct().Select((profile, i) => (profile, i == 0 ? options.OutputPath : Beside(options.OutputPath, profile)))];

    /// <summary>The profile's name in options, file names and properties.</summary>
    public static string NameOf(EmissionProfile profile) => profile switch
    {
        EmissionProfile.Custom => "custom",
        EmissionProfile.Portable => "portable",
        EmissionProfile.Simulated => "simulated",
        _ => "qdq",
    };

    private static string Beside(string path, EmissionProfile profile) =>
        Path.ChangeExtension(path, NameOf(profile) + Path.GetExtension(path));
}
