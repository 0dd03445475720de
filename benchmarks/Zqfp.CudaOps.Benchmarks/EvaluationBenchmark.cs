using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Zqfp.Evaluation;
using Zqfp.Tests;
using Zqfp.Tokenizers;

namespace Zqfp.Benchmarks;

/// <summary>
/// Times a whole evaluation (reading and tokenizing the text, loading the model, the runs, the losses) against a bare session that only
/// runs the same batches and drops the logits, by turns in one process. Processor time beside the clock's, for a busy machine.
/// </summary>
internal sealed class EvaluationBenchmark(int threads)
{
    private const int Window = 512;
    private const int Windows = 236;

    /// <summary>Tokens of a batch, as in evaluation.</summary>
    private const int BatchTokens = 2048;

    public void Measure(string model, string text, string tokenizer, double seconds)
    {
        TokenStream stream = TextSource.Load(new TextSourceOptions { Path = text }, PretrainedTokenizer.Load(tokenizer));
        int[][][] batches = [.. TokenWindows.Cut(stream, Window, Windows).Chunk(BatchTokens / Window)];
        using var session = new InferenceSession(model, new SessionOptions { IntraOpNumThreads = threads });
        List<(double Clock, double Processor)> bare = [];
        List<(double Clock, double Processor)> whole = [];
        long end = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
        for (int round = 0; round < 4 || Stopwatch.GetTimestamp() < end; round++)
        {
            (double, double) once = Time(() => Array.ForEach(batches, batch => Run(session, batch)));
            (double, double) other = Time(() => EvaluateJob.Run(
                new EvaluateOptions
                {
                    ModelPath = model,
                    TextPath = text,
                    TokenizerPath = tokenizer,
                    Window = Window,
                    Windows = Windows,
                    Threads = threads,
                },
                new NoObserver(),
                CancellationToken.None));

            // The first round runs code that is not yet optimized.
            if (round > 0)
            {
                bare.Add(once);
                whole.Add(other);
            }
        }

        int tokens = batches.Sum(batch => batch.Length) * Window;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{batches.Sum(batch => batch.Length)} windows of {Window} tokens, {bare.Count} rounds"));
        Console.WriteLine("| what | tokens/s | of the bare session | tokens a processor second | of the bare session |");
        Console.WriteLine("|:--|--:|--:|--:|--:|");
        Print("bare session", bare);
        Print("evaluation", whole);

        void Print(string name, List<(double Clock, double Processor)> times)
        {
            double clock = Statistics.Speedup(bare.Select(time => time.Clock), times.Select(time => time.Clock));
            double processor = Statistics.Speedup(bare.Select(time => time.Processor), times.Select(time => time.Processor));
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {name} | {tokens / Statistics.Median(times.Select(time => time.Clock)):0} | {clock:0.00} | "
                + $"{tokens / Statistics.Median(times.Select(time => time.Processor)):0} | {processor:0.00} |"));
        }
    }

    private static void Run(InferenceSession session, int[][] batch)
    {
        OrtValue[] inputs = [.. session.InputNames.Select(name => Input(name, batch))];
        foreach (OrtValue value in inputs.Concat(session.Run([.. session.InputNames], inputs, ["logits"])))
        {
            value.Dispose();
        }
    }

    private static OrtValue Input(string name, int[][] batch)
    {
        long[] values = name switch
        {
            "attention_mask" => [.. Enumerable.Repeat(1L, batch.Length * Window)],
            "position_ids" => [.. Enumerable.Range(0, batch.Length * Window).Select(i => (long)(i % Window))],
            _ => [.. batch.SelectMany(ids => ids).Select(id => (long)id)],
        };
        return OrtValue.CreateTensorValueFromMemory<long>(values, [batch.Length, Window]);
    }

    private static (double Clock, double Processor) Time(Action work)
    {
        TimeSpan before = Environment.CpuUsage.TotalTime;
        long start = Stopwatch.GetTimestamp();
        work();
        return (Stopwatch.GetElapsedTime(start).TotalSeconds, (Environment.CpuUsage.TotalTime - before).TotalSeconds);
    }

    private sealed class NoObserver : IJobObserver
    {
        public void Report(JobProgress progress)
        {
        }

        public void Warn(Diagnostic warning)
        {
        }
    }
}
