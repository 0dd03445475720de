using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Zqfp.Pipeline.Calibration;
using Zqfp.Pipeline.Diagnostics;
using Zqfp.Pipeline.Evaluate;

namespace Zqfp.Pipeline.Gate;

/// <summary>
/// Keeps evaluation results in a folder under a key of everything they depend on: the code, the model's bytes and the token
/// windows. A file that cannot be read counts as absent.
/// </summary>
/// <param name="folder">The folder, or null to keep nothing.</param>
internal sealed class EvaluationCache(string? folder)
{
    /// <summary>The result for <paramref name="options"/>, from the folder or by evaluating.</summary>
    public EvaluationResult GetOrEvaluate(EvaluateOptions options, string phase, IJobObserver observer, CancellationToken cancellation)
    {
        ModelFacts facts = ModelFacts.Read(options.ModelPath);
        TokenWindowSet windows = TokenWindowSet.Load(options.TextPath, options.TokenizerPath, options.Window, options.Windows, facts);
        string? path = folder is null ? null : Path.Combine(folder, Key(options.ModelPath, windows) + ".json");
        if (path is not null && Read(path) is { } known)
        {
            return known;
        }

        EvaluationResult result = EvaluateJob.Run(options, facts, windows, phase, observer, cancellation);
        if (path is not null)
        {
            Write(path, result, observer);
        }

        return result;
    }

    /// <summary>A measurement that cannot be kept is still a measurement: the failure is a warning.</summary>
    private static void Write(string path, EvaluationResult result, IJobObserver observer)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(temporary, JsonSerializer.Serialize(result));
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            observer.Warn(new Diagnostic("ZQFP0007", DiagnosticSeverity.Warning, $"The evaluation cache cannot be written, so the next gate measures again: {e.Message}", path));
        }
    }

    private static EvaluationResult? Read(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<EvaluationResult>(File.ReadAllText(path)) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    private static string Key(string modelPath, TokenWindowSet windows)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(CodeIdentity.Value));
        foreach (string file in ModelFiles.Of(modelPath))
        {
            using FileStream stream = File.OpenRead(file);
            hash.AppendData(SHA256.HashData(stream));
        }

        foreach (int[] window in windows.Windows)
        {
            hash.AppendData(MemoryMarshal.AsBytes<int>(window));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
