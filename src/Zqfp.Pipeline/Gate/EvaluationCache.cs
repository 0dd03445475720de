using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Zqfp.Pipeline.Diagnostics;
using Zqfp.Pipeline.Evaluate;
using Zqfp.Pipeline.Quantize;

namespace Zqfp.Pipeline.Gate;

/// <summary>
/// Keeps evaluation results in a folder under a key of everything they depend on: the bytes of the model, the text and the
/// tokenizer, and the windows. A file that cannot be read counts as absent.
/// </summary>
/// <param name="folder">The folder, or null to keep nothing.</param>
internal sealed class EvaluationCache(string? folder)
{
    /// <summary>The result for <paramref name="options"/>, from the folder or by evaluating.</summary>
    public EvaluationResult GetOrEvaluate(EvaluateOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        if (folder is null)
        {
            return EvaluateJob.Run(options, observer, cancellation);
        }

        string path = Path.Combine(folder, Key(options) + ".json");
        if (Read(path) is { } known)
        {
            return known;
        }

        EvaluationResult result = EvaluateJob.Run(options, observer, cancellation);
        Write(path, result);
        return result;
    }

    private static void Write(string path, EvaluationResult result)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path + ".tmp", JsonSerializer.Serialize(result));
            File.Move(path + ".tmp", path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PipelineException("ZQFP0007", $"The evaluation cache cannot be written: {e.Message} Choose another --cache folder.", path, e);
        }
    }

    private static EvaluationResult? Read(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<EvaluationResult>(File.ReadAllText(path)) : null;
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    private static string Key(EvaluateOptions options)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{ModelProperties.Version}|{options.Window}|{options.Windows}"));
        string[] files = [.. ModelFiles.Of(options.ModelPath), options.TextPath, .. options.TokenizerPath is null ? (string[])[] : [options.TokenizerPath]];
        foreach (string file in files.Where(File.Exists))
        {
            using FileStream stream = File.OpenRead(file);
            hash.AppendData(SHA256.HashData(stream));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
