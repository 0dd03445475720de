using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Zqfp.Evaluation;

namespace Zqfp.Quantization;

/// <summary>
/// Keeps measured configurations in a folder under a key of everything they depend on. A file that does not fit counts as absent.
/// </summary>
internal sealed class SweepStore
{
    private const string Kind = "sweep row";

    private readonly string _folder;
    private readonly InputFiles _inputs;
    private readonly byte[] _base;

    /// <summary>Opens the store of one model on given texts.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="modelPath">The float model.</param>
    /// <param name="windows">Windows of calibration and evaluation.</param>
    /// <param name="inputs">The inputs of the sweep; the model is added.</param>
    /// <param name="cancellation">Ends reading the model.</param>
    public SweepStore(
        string folder, string modelPath, IEnumerable<int[]> windows, InputFiles inputs, CancellationToken cancellation)
    {
        _folder = folder;
        _inputs = inputs;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(CodeIdentity.Value));
        hash.AppendData(ContentHash.OfModel(modelPath, inputs, cancellation));
        hash.AppendWindows(windows);
        _base = hash.GetHashAndReset();
    }

    /// <summary>The row of this configuration, or null.</summary>
    public SweepRow? Read(SweepConfiguration configuration, IJobObserver observer)
    {
        string key = KeyOf(configuration);
        if (KeptFile.Read(PathOf(key), Kind, key, Unfit) is not { } content)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize<SweepRow>(content);
        }
        catch (JsonException)
        {
            Unfit(PathOf(key));
            return null;
        }

        void Unfit(string path) => observer.Note($"'{path}' is damaged or of another version: it is measured again.", isDetail: true);
    }

    /// <summary>Keeps a row.</summary>
    /// <exception cref="ZqfpException">ZQFP0007: the folder cannot be written. ZQFP0018: an input changed meanwhile.</exception>
    public void Write(SweepConfiguration configuration, SweepRow row, CancellationToken cancellation)
    {
        _inputs.RequireUnchangedContent(cancellation);
        string key = KeyOf(configuration);
        try
        {
            KeptFile.Write(PathOf(key), Kind, key, JsonSerializer.SerializeToUtf8Bytes(row));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException(
                "ZQFP0007", $"The sweep's folder cannot be written: {NewFile.Explain(e)} Choose another --output.", _folder, e);
        }
    }

    private string PathOf(string key) => Path.Combine(_folder, key + ".row");

    private string KeyOf(SweepConfiguration configuration)
    {
        string options =
            $"{configuration.Name}|{configuration.Quantization with { MaxThreads = 0 }}|"
            + $"{configuration.Quantization.Format.Name}|{configuration.Activations}|{configuration.Profile}";
        return Convert.ToHexStringLower(SHA256.HashData([.. _base, .. Encoding.UTF8.GetBytes(options)]));
    }
}
