using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Zqfp.Evaluation;

/// <summary>What keys of kept results are made of: the content of models and of token windows.</summary>
internal static class ContentHash
{
    /// <summary>The hash of a model's files; they are read whole.</summary>
    public static byte[] OfModel(string modelPath)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in ModelFiles.Of(modelPath))
        {
            using FileStream stream = File.OpenRead(file);
            hash.AppendData(SHA256.HashData(stream));
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
