using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Zqfp.Evaluation;

namespace Zqfp.Quantization;

/// <summary>
/// Keeps measured configurations in a folder under a key of everything they depend on. A file that cannot be read counts as absent.
/// </summary>
internal sealed class SweepStore
{
    private readonly string _folder;
    private readonly byte[] _base;

    /// <summary>Opens the store of one model on given texts.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="modelPath">The float model.</param>
    /// <param name="windows">Windows of calibration and evaluation.</param>
    public SweepStore(string folder, string modelPath, IEnumerable<int[]> windows)
    {
        _folder = folder;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(CodeIdentity.Value));
        hash.AppendData(ContentHash.OfModel(modelPath));
        hash.AppendWindows(windows);
        _base = hash.GetHashAndReset();
    }

    /// <summary>The row of this configuration, or null.</summary>
    public SweepRow? Read(SweepConfiguration configuration)
    {
        try
        {
            string path = PathOf(configuration);
            return File.Exists(path) ? JsonSerializer.Deserialize<SweepRow>(File.ReadAllText(path)) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Keeps a row.</summary>
    /// <exception cref="ZqfpException">ZQFP0007: the folder cannot be written.</exception>
    public void Write(SweepConfiguration configuration, SweepRow row)
    {
        try
        {
            WholeFile.WriteText(PathOf(configuration), JsonSerializer.Serialize(row));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0007", $"The sweep's folder cannot be written: {e.Message} Choose another --output.", _folder, e);
        }
    }

    private string PathOf(SweepConfiguration configuration)
    {
        string options =
            $"{configuration.Name}|{configuration.Quantization with { MaxThreads = 0 }}|"
            + $"{configuration.Quantization.Format.Name}|{configuration.Activations}|{configuration.Profile}";
        return Path.Combine(_folder, Convert.ToHexStringLower(SHA256.HashData([.. _base, .. Encoding.UTF8.GetBytes(options)])) + ".json");
    }
}
