using System.Diagnostics;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using Zqfp.Quantization;
using Zqfp.Reporting;
using Zqfp.Tokenizers;
using Zqfp.Tool;

namespace Zqfp.Reliability.Tests;

/// <summary>
/// Malformed files of every kind, read as the tool reads them: each ends in a result or in a coded error, within ten seconds. A file that
/// does not is kept in the folder that <c>ZQFP_FUZZ_FOUND</c> names.
/// </summary>
public sealed class FuzzTests : IDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    private static readonly string Corpus = Repository.Path("tests/Zqfp.Reliability.Tests/Corpus");

    private static readonly PretrainedTokenizer Words =
        PretrainedTokenizer.Load(Repository.Path("tests/Zqfp.Tokenizers.Tests/Cases/bytes-nfc.json"));

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-fuzz-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Models() => Fuzz("model.onnx", 200, Cases(), ProtoMutator.Mutate, Inspect);

    [Fact]
    public void External_data()
    {
        byte[] model = FuzzSeeds.WithExternalData(File.ReadAllBytes(Path.Combine(Trial.Case, "model.onnx")), out byte[] data);
        Fuzz("external.onnx", 100, [model], ProtoMutator.Mutate, path =>
        {
            File.WriteAllBytes(Path.Combine(_folder, "weights"), data);
            Inspect(path);
            using OnnxFile file = OnnxFile.Open(path);
            file.AddTo(new InputFiles(), CancellationToken.None);
            float[] first = new float[1];
            foreach (TensorProto tensor in file.Graph.Initializer)
            {
                TensorData content = file.Read(tensor);
                if (content.ByteLength >= sizeof(float) && content.Type == TensorProto.Types.DataType.Float)
                {
                    content.ReadFloats((content.ByteLength / sizeof(float)) - 1, first);
                }
            }
        });
    }

    [Fact]
    public void Tokenizers()
    {
        string[] names = ["unigram", "unigram-xlm", "bytes-nfc", "bert-cased", "added", "nfkc"];
        byte[][] seeds =
            [.. names.Select(name => File.ReadAllBytes(Repository.Path($"tests/Zqfp.Tokenizers.Tests/Cases/{name}.json")))];
        Fuzz("tokenizer.json", 200, seeds, JsonMutator.Mutate, Tokenize);
    }

    [Fact]
    public void SentencePiece_models() => Fuzz("tokenizer.model", 200, [FuzzSeeds.SentencePiece()], ProtoMutator.Mutate, Tokenize);

    [Fact]
    public void Recipes() => Fuzz("recipe.json", 150, [Seed("recipe.json")], JsonMutator.Mutate,
        path => RecipeOptions.Expand(["quantize", "model.onnx", "--recipe", path]));

    [Fact]
    public void Folders_of_GenAI() => Fuzz("genai_config.json", 150, [Seed("genai_config.json")], JsonMutator.Mutate, path =>
    {
        File.WriteAllBytes(Path.Combine(_folder, "model.onnx"), []);
        GenAiFolder.Open(path).ConfigWith("zqfp_ops.so");
    });

    [Fact]
    public void Baselines() => Fuzz("baseline.json", 150, [Seed("baseline.json")], JsonMutator.Mutate, path => GateBaseline.Read(path));

    [Fact]
    public void Reports_of_quantizing() => Fuzz("quantize.json", 150, [Seed("quantize.json")], JsonMutator.Mutate,
        path => Report(path, Path.Combine(Corpus, "gate.json")));

    [Fact]
    public void Reports_of_a_gate() => Fuzz("gate.json", 150, [Seed("gate.json")], JsonMutator.Mutate,
        path => Report(Path.Combine(Corpus, "quantize.json"), path));

    [Fact]
    public void Texts() => Fuzz("text.jsonl", 150, [Seed("texts.jsonl")], ByteMutator.Mutate, Read);

    [Fact]
    public void Token_files() => Fuzz("tokens.npy", 150, [Tokens()], ByteMutator.Mutate, Read);

    [Fact]
    public void Kept_layers()
    {
        var layer = new LinearLayer
        {
            Name = "layer",
            Nodes = [],
            Input = "x",
            Output = "y",
            Source = new ConstantWeight(new TensorProto(), null, [], Transposed: false, TensorProto.Types.DataType.Float, ["w"]),
            StoredInputMajor = false,
            InFeatures = 4,
            OutFeatures = 2,
            Type = TensorProto.Types.DataType.Float,
        };
        var key = new LayerKey("key");
        string kept = Path.Combine(_folder, "key.layer");
        using (var store = new LayerStore(_folder, isTemporary: false))
        {
            store.Write(key, new QuantizedLayerResult(new QuantizedLayerTensors
            {
                Layer = layer,
                CodesType = WeightCodes.Fp4E2M1,
                Codes = new byte[] { 1, 2, 3, 4 },
                GroupSize = 4,
                Exponents = new byte[] { 0, 3 },
                Scales = new float[] { 0.5f, -2f },
            }, 0.25, null, [new Diagnostic("ZQFP2102", DiagnosticSeverity.Warning, "clamped")]));
        }

        // Altered content under a checksum that fits it: what a damaged file cannot be, and a hostile one can.
        byte[] content = KeptFile.Read(kept, "layer", "key")!;
        Fuzz("content", 150, [content], ByteMutator.Mutate, path =>
        {
            KeptFile.Write(kept, "layer", "key", File.ReadAllBytes(path));
            using var store = new LayerStore(_folder, isTemporary: false);
            store.Read(key, layer);
        });
        byte[] file = File.ReadAllBytes(kept);
        Fuzz("key.layer", 150, [file], ByteMutator.Mutate, path =>
        {
            using var store = new LayerStore(_folder, isTemporary: false);
            store.Read(key, layer);
        });
    }

    private static void Inspect(string path)
    {
        var options = new QuantizeOptions { ModelPath = path, OutputPath = path + ".out" };
        InspectJob.Run(options);
        ModelFacts.Read(path);
    }

    private static void Tokenize(string path)
    {
        PretrainedTokenizer tokenizer = PretrainedTokenizer.Load(path);
        IReadOnlyList<int> ids = tokenizer.EncodeToIds("Once upon a time, h\u00e9llo \U0001F600 12345!\n\t  the end");
        tokenizer.Decode(ids);
    }

    /// <summary>A report of one model, and one that compares two.</summary>
    private void Report(string quantization, string gate)
    {
        for (int models = 1; models <= 2; models++)
        {
            ReportJob.Write(new ReportOptions
            {
                Sources = [.. Enumerable.Repeat(new ReportSource(quantization, gate), models)],
                OutputPaths = [.. ((string[])["html", "md", "json"]).Select(kind => Path.Combine(_folder, "report." + kind))],
            });
        }
    }

    private static void Read(string path)
    {
        PretrainedTokenizer? tokenizer = Path.GetExtension(path) == ".npy" ? null : Words;
        var options = new TextSourceOptions { Path = path, ModelVocabularySize = tokenizer?.VocabularySize ?? 1 << 20 };
        TextSource.Load(options, tokenizer, CancellationToken.None);
    }

    private void Fuzz(string name, int inCi, IReadOnlyList<byte[]> seeds, Func<byte[], Random, byte[]> mutate, Action<string> read)
    {
        string path = Path.Combine(_folder, name);
        string found = Path.Combine(Corpus, "found");
        byte[][] known = Directory.Exists(found)
            ? [.. Directory.GetFiles(found, name + "*").Order(StringComparer.Ordinal).Select(File.ReadAllBytes)]
            : [];
        int trials = Effort.Trials(inCi);
        int accepted = 0;
        TimeSpan longest = TimeSpan.Zero;
        for (int i = -known.Length; i < trials; i++)
        {
            var random = new Random(Effort.Seed(i));
            byte[] input = i < 0 ? known[~i] : mutate(seeds[random.Next(seeds.Count)], random);
            File.WriteAllBytes(path, input);
            var clock = Stopwatch.StartNew();
            try
            {
                read(path);
                accepted++;
            }
            catch (ZqfpException)
            {
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException)
            {
                // Codes of the tool: ZQFP0908 and ZQFP4020.
            }
            catch (Exception e)
            {
                Assert.Fail($"{name}, trial {i}, kept as '{Keep(name, i, input)}': {e}");
            }

            longest = clock.Elapsed > longest ? clock.Elapsed : longest;
            if (longest > Longest)
            {
                Assert.Fail($"{name}, trial {i}, kept as '{Keep(name, i, input)}', took {longest}.");
            }
        }

        Assert.True(trials < 100 || accepted > 0, $"{name}: none is accepted, so that little of the reader is reached.");
        Effort.Report($"fuzzed {name}: {trials} inputs, {accepted} accepted, the others refused with a code; the longest took "
            + $"{longest.TotalMilliseconds:0} ms");
    }

    private static string Keep(string name, int trial, byte[] input)
    {
        string? folder = Environment.GetEnvironmentVariable("ZQFP_FUZZ_FOUND");
        if (string.IsNullOrEmpty(folder))
        {
            return "nothing";
        }

        Directory.CreateDirectory(folder);
        string path = Path.Combine(folder, $"{name}.{trial}");
        File.WriteAllBytes(path, input);
        return path;
    }

    private static byte[] Seed(string name) => File.ReadAllBytes(Path.Combine(Corpus, name));

    private static byte[][] Cases() =>
        [.. Directory.GetFiles(Repository.Path("tests/Cases"), "model.onnx", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(File.ReadAllBytes)];

    private static byte[] Tokens()
    {
        string description = "{'descr': '<i2', 'fortran_order': False, 'shape': (32,), }".PadRight(117) + "\n";
        byte[] header = System.Text.Encoding.ASCII.GetBytes(description);
        byte[] start = [0x93, .. "NUMPY"u8, 1, 0, .. BitConverter.GetBytes((ushort)header.Length), .. header];
        return [.. start, .. Enumerable.Range(0, 32).SelectMany(id => BitConverter.GetBytes((short)id))];
    }
}
