using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Zqfp.OnnxRewriter;

namespace Zqfp.Evaluation;

/// <summary>What keys of kept results are made of: the content of models and of token windows.</summary>
internal static class ContentHash
{
    /// <summary>The hash of a model's files, which are added to the run's inputs: they are read whole.</summary>
    public static byte[] OfModel(string modelPath, InputFiles inputs, CancellationToken cancellation)
    {
        using OnnxFile file = OnnxFile.Open(modelPath);
        return OfModel(file, inputs, cancellation);
    }

    /// <inheritdoc cref="OfModel(string, InputFiles, CancellationToken)"/>
    public static byte[] OfModel(OnnxFile file, InputFiles inputs, CancellationToken cancellation)
    {
        file.AddTo(inputs, cancellation);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string path in ModelFiles.Of(file))
        {
            hash.AppendData(inputs.HashOf(path));
        }

        return hash.GetHashAndReset();
    }

    /// <summary>Adds windows to a hash: the same tokens cut otherwise are other windows.</summary>
    public static void AppendWindows(this IncrementalHash hash, IEnumerable<int[]> windows)
    {
        foreach (int[] window in windows)
        {
            hash.AppendData(BitConverter.GetBytes(window.Length));
            hash.AppendData(MemoryMarshal.AsBytes<int>(window));
        }
    }
}
