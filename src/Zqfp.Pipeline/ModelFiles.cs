using Zqfp.OnnxRewriter;

namespace Zqfp.Pipeline;

/// <summary>The files a model is made of.</summary>
internal static class ModelFiles
{
    /// <summary>The model's file and its external data files, as full paths.</summary>
    public static IReadOnlyList<string> Of(string modelPath)
    {
        using OnnxFile file = OnnxFile.Open(modelPath);
        return [Path.GetFullPath(modelPath), .. file.ExternalFiles()];
    }

    /// <summary>Bytes of all of them.</summary>
    public static long Bytes(string modelPath) => Of(modelPath).Sum(path => new FileInfo(path).Length);
}
