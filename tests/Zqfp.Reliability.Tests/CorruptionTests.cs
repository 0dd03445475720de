using System.Text;
using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.Quantization;

namespace Zqfp.Reliability.Tests;

/// <summary>Kept files of every kind, damaged in every way: none is used, and none is an error.</summary>
public sealed class CorruptionTests
{
    [Fact]
    public void A_damaged_file_of_any_kind_is_absent()
    {
        using var folder = new TemporaryFolder();
        (string Path, string Kind, string Key)[] files = [.. Files(folder)];
        byte[][] contents = [.. files.Select(file => File.ReadAllBytes(file.Path))];
        int trials = Effort.Trials(200);
        Dictionary<string, int> tried = [];
        for (int i = 0; i < trials; i++)
        {
            var random = new Random(Effort.Seed(i));
            int chosen = random.Next(files.Length);
            (string path, string kind, string key) = files[chosen];
            string damage = Damage(contents, chosen, random, out byte[] damaged);
            if (damaged.AsSpan().SequenceEqual(contents[chosen]))
            {
                continue;
            }

            File.WriteAllBytes(path, damaged);
            Assert.True(KeptFile.Read(path, kind, key) is null, $"Trial {i}: a file of kind '{kind}' with {damage} is used.");
            tried[kind] = tried.GetValueOrDefault(kind) + 1;
            File.WriteAllBytes(path, contents[chosen]);
            Assert.NotNull(KeptFile.Read(path, kind, key));
        }

        string kinds = string.Join(", ", tried.Select(pair => $"{pair.Value} {pair.Key}"));
        Effort.Report($"damaged kept files: {tried.Values.Sum()} ({kinds}); 0 used");
    }

    [Fact]
    public void A_run_with_damaged_layers_gives_the_same_bytes_and_says_so()
    {
        using var trial = new Trial();
        QuantizeOptions options = trial.QuantizeOptions;
        QuantizeJob.Run(options, new Observer(), CancellationToken.None);
        byte[] expected = trial.OutputBytes!;
        int trials = Effort.Trials(3);
        int damagedFiles = 0;
        for (int i = 0; i < trials; i++)
        {
            var random = new Random(Effort.Seed(i));
            string[] layers = Directory.GetFiles(trial.Work, "*.layer");
            byte[][] contents = [.. layers.Select(File.ReadAllBytes)];
            int damagedNow = 0;
            foreach (int chosen in Enumerable.Range(0, layers.Length).Where(_ => random.Next(3) == 0))
            {
                _ = Damage(contents, chosen, random, out byte[] damaged);
                File.WriteAllBytes(layers[chosen], damaged);
                damagedNow += damaged.AsSpan().SequenceEqual(contents[chosen]) ? 0 : 1;
            }

            var observer = new Observer();
            QuantizeJob.Run(options, observer, CancellationToken.None);
            Assert.Equal(expected, trial.OutputBytes);
            Assert.Equal(damagedNow > 0,
                observer.Notes.Any(note => note.StartsWith($"{damagedNow} kept layers", StringComparison.Ordinal)));
            damagedFiles += damagedNow;
        }

        Effort.Report($"runs with damaged layers: {trials}, {damagedFiles} damaged layers; 0 used, the same bytes each time");
    }

    [Fact]
    public void A_gate_with_damaged_measurements_gives_the_same_figures()
    {
        using var trial = new Trial();
        QuantizeJob.Run(trial.QuantizeOptions, new Observer(), CancellationToken.None);
        GateOptions options = trial.GateOptions with { Divergence = true };
        string expected = GateJob.Run(options, new Observer(), CancellationToken.None).Summary;
        int trials = Effort.Trials(3);
        for (int i = 0; i < trials; i++)
        {
            var random = new Random(Effort.Seed(i));
            string[] files = Directory.GetFiles(trial.Cache);
            Assert.Equal(3, files.Length);
            byte[][] contents = [.. files.Select(File.ReadAllBytes)];
            int chosen = random.Next(files.Length);
            _ = Damage(contents, chosen, random, out byte[] damaged);
            File.WriteAllBytes(files[chosen], damaged);
            var observer = new Observer();
            Assert.Equal(expected, GateJob.Run(options, observer, CancellationToken.None).Summary);
            Assert.Equal(damaged.AsSpan().SequenceEqual(contents[chosen]) ? 0 : 1, observer.Notes.Count);
        }

        Effort.Report($"gates with damaged measurements: {trials}; 0 used");
    }

    private static IEnumerable<(string Path, string Kind, string Key)> Files(TemporaryFolder folder)
    {
        var random = new Random(1);
        foreach ((string kind, int length) in (IEnumerable<(string, int)>)[
            ("layer", 5000), ("layer", 20000), ("evaluation", 700), ("divergence", 90), ("sweep row", 1500), ("compiled kernels", 30000)])
        {
            for (int i = 0; i < 2; i++)
            {
                byte[] content = new byte[length];
                random.NextBytes(content);
                string key = $"{kind} {length} {i}";
                string path = folder.File(key);
                KeptFile.Write(path, kind, key, content);
                yield return (path, kind, key);
            }
        }

        var kernels = new KernelCache(folder.Path);
        kernels.Write("k", Encoding.UTF8.GetBytes("cubin"));
        yield return (kernels.PathOf("k"), "compiled kernels", "k");
    }

    /// <summary>Damages one of some files.</summary>
    private static string Damage(byte[][] contents, int chosen, Random random, out byte[] damaged)
    {
        byte[] whole = contents[chosen];
        damaged = [.. whole];
        int place = random.Next(whole.Length);
        switch (random.Next(9))
        {
            case 0:
                damaged[place] ^= (byte)(1 << random.Next(8));
                return $"bit altered at {place}";
            case 1:
                damaged = whole[..place];
                return $"length {place}";
            case 2:
                damaged = [.. whole, .. new byte[1 + random.Next(5000)]];
                return "zeros at the end";
            case 3:
                damaged.AsSpan(place, Math.Min(whole.Length - place, 512)).Clear();
                return $"a block of zeros at {place}";
            case 4:
                damaged = [.. whole[..place], .. whole[Math.Min(whole.Length, place + 1 + random.Next(64))..]];
                return $"bytes left out at {place}";
            case 5:
                damaged = [.. contents[random.Next(contents.Length)]];
                return "the content of another file";
            case 6:
                byte[] other = contents[random.Next(contents.Length)];
                damaged = [.. whole[..Math.Min(place, whole.Length)], .. other[Math.Min(place, other.Length)..]];
                return $"the end of another file from {place}";
            case 7:
                random.NextBytes(damaged.AsSpan(place));
                return $"noise from {place}";
            default:
                damaged = Encoding.UTF8.GetBytes("{\"perplexity\": 1}");
                return "text";
        }
    }
}
