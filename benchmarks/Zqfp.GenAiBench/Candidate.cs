using System.Diagnostics;
using Microsoft.ML.OnnxRuntimeGenAI;

namespace Zqfp.GenAiBench;

/// <summary>What one generation took.</summary>
/// <param name="PromptSeconds">Until the prompt's last token had logits.</param>
/// <param name="TokenSeconds">From there, all further tokens.</param>
/// <param name="Tokens">What was written.</param>
internal sealed record Generation(double PromptSeconds, double TokenSeconds, int[] Tokens);

/// <summary>A folder loaded by GenAI.</summary>
internal sealed class Candidate : IDisposable
{
    private readonly Config _config;
    private readonly Model _model;

    /// <param name="folder">The folder.</param>
    /// <param name="device">cpu or cuda.</param>
    /// <param name="graph">Whether the CUDA provider records a step as a CUDA graph.</param>
    public Candidate(string folder, string device, bool graph)
    {
        Name = Path.GetFileName(Path.TrimEndingDirectorySeparator(folder));
        _config = new Config(folder);
        _config.ClearProviders();
        if (device != "cpu")
        {
            _config.AppendProvider(device);
            _config.SetProviderOption(device, "enable_cuda_graph", graph ? "1" : "0");
        }

        _model = new Model(_config);
    }

    public string Name { get; }

    /// <summary>Writes tokens after a prompt, the likeliest each time.</summary>
    /// <param name="prompt">Token numbers, of every sequence.</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="count">Tokens to write.</param>
    /// <param name="room">Positions of the cache.</param>
    public Generation Generate(int[] prompt, int batch, int count, int room)
    {
        using var parameters = new GeneratorParams(_model);
        parameters.SetSearchOption("batch_size", batch);
        parameters.SetSearchOption("max_length", room);
        using var generator = new Generator(_model, parameters);
        long start = Stopwatch.GetTimestamp();
        generator.AppendTokens([.. Enumerable.Repeat(prompt, batch).SelectMany(tokens => tokens)]);
        generator.GenerateNextToken();
        _ = generator.GetSequence(0)[^1]; // Waits for the device.
        double promptSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        start = Stopwatch.GetTimestamp();
        for (int i = 1; i < count && !generator.IsDone(); i++)
        {
            generator.GenerateNextToken();
        }

        ReadOnlySpan<int> written = generator.GetSequence(0)[prompt.Length..];
        return new Generation(promptSeconds, Stopwatch.GetElapsedTime(start).TotalSeconds, written.ToArray());
    }

    public void Dispose()
    {
        _model.Dispose();
        _config.Dispose();
    }
}
