using System.Diagnostics;
using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;

namespace Zqfp.Evaluation;

/// <summary>Times a model: a prompt, and greedy generation after it.</summary>
internal static class BenchJob
{
    private const int FirstToken = 1, Seed = 1;

    /// <summary>Times a model. The prompt is random tokens of a fixed seed; what is generated is not looked at.</summary>
    /// <exception cref="ZqfpException">The model or the device cannot be used; the code says why.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static BenchResult Run(BenchOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        var facts = ModelFacts.ReadForGeneration(GenAiFolder.ModelOf(options.ModelPath), options.Logits);
        facts.RequireWindow(options.Prompt);
        var settings = new SessionSettings(options.Threads);
        ZqfpDevice device = Resolve(options.Device, settings);
        long start = Stopwatch.GetTimestamp();
        using var session = ModelSession.Open(facts, settings, device);
        double load = Stopwatch.GetElapsedTime(start).TotalSeconds;
        using var run = new CachedRun(facts, session, onGpu: device == ZqfpDevice.Cuda);
        int[] prompt = TokenWindows.Random(facts.Vocabulary ?? FirstToken + 1, options.Prompt, 1, Seed)[0];
        var prompts = new List<double>();
        var tokens = new List<double>();
        for (int round = 0; round <= options.Rounds; round++)
        {
            observer.Report(new JobProgress("Timing", round, options.Rounds + 1, "rounds"));
            start = Stopwatch.GetTimestamp();
            run.Begin(prompt, cancellation);
            double ofPrompt = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            start = Stopwatch.GetTimestamp();
            int token = FirstToken;
            for (int i = 0; i < options.Tokens; i++)
            {
                token = run.Next(token, cancellation);
            }

            // The first round pays for what comes once: memory, kernels, pages of the file.
            if (round > 0)
            {
                prompts.Add(ofPrompt);
                tokens.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds / options.Tokens);
            }
        }

        observer.Report(new JobProgress("Timing", options.Rounds + 1, options.Rounds + 1, "rounds"));
        return new BenchResult
        {
            Model = options.ModelPath,
            Device = device switch { ZqfpDevice.Cuda => "cuda", ZqfpDevice.CudaProducts => "cuda-products", _ => "cpu" },
            Processor = ProcessorName.Read(),
            Kernels = CpuFeatures.Kernels,
            Threads = options.Threads > 0 ? options.Threads : Environment.ProcessorCount,
            Gpu = device == ZqfpDevice.Cpu ? null : NameOfGpu(),
            OnnxRuntime = RuntimeLibrary.Start().GetVersionString(),
            Rounds = options.Rounds,
            LoadSeconds = load,
            HasCache = run.HasCache,
            PromptTokens = prompt.Length,
            PromptMilliseconds = Median(prompts),
            GeneratedTokens = options.Tokens,
            MillisecondsPerToken = Median(tokens),
        };
    }

    /// <summary>What <see cref="ZqfpDevice.Auto"/> comes to on this machine.</summary>
    private static ZqfpDevice Resolve(ZqfpDevice device, SessionSettings settings)
    {
        if (device != ZqfpDevice.Auto)
        {
            return device;
        }

        try
        {
            settings.Create(ZqfpDevice.Cuda).Dispose();
            return ZqfpDevice.Cuda;
        }
        catch (ZqfpException)
        {
            return ZqfpDevice.Cpu;
        }
    }

    private static string NameOfGpu()
    {
        using var context = new CudaContext();
        return context.Name;
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values.Count % 2 == 1 ? values[values.Count / 2] : (values[(values.Count / 2) - 1] + values[values.Count / 2]) / 2;
    }
}
