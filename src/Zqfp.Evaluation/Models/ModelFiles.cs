using Zqfp.OnnxRewriter;

namespace Zqfp.Evaluation;

/// <summary>The files a model is made of.</summary>
internal static class ModelFiles
{
    /// <summary>The model's file and its external data files, as full paths.</summary>
    public static IReadOnlyList<string> Of(string modelPath)
    {
        using OnnxFile file = OnnxFile.Open(modelPath);
        return Of(file);
    }

    /// <inheritdoc cref="Of(string)"/>
    public static IReadOnlyList<string> Of(OnnxFile file) => [Path.GetFullPath(file.Path), .. file.ExternalFiles()];

    /// <summary>Bytes of all of them.</summary>
    public static long Bytes(string modelPath) => Bytes(Of(modelPath));

    /// <inheritdoc cref="Bytes(string)"/>
    public static long Bytes(OnnxFile file) => Bytes(Of(file));

    private static long Bytes(IReadOnlyList<string> paths) => paths.Sum(path => new FileInfo(path).Length);
}
