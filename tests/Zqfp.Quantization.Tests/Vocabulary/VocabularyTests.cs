using System.Security.Cryptography;
using Microsoft.ML.OnnxRuntime;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Embedding and head as FP8, in the spellings of exporters, through the whole pipeline.</summary>
public sealed class VocabularyTests : IDisposable
{
    private const int Tokens = TinyDecoder.Vocabulary;
    private const int Width = 32;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<VocabularyForm> TiedForms => [.. Enum.GetValues<VocabularyForm>().Where(form => form != VocabularyForm.Apart)];

    [Theory]
    [MemberData(nameof(TiedForms))]
    public void A_tied_pair_is_stored_once_and_computes_with_the_rounded_rows(VocabularyForm form)
    {
        string model = VocabularyModel.Write(_folder, form);
        QuantizeReport report = Run(Both(model));

        EmbeddingReport embedding = Assert.Single(report.Embeddings);
        Assert.Equal((Tokens, Width, 4L * Tokens, "head"), (embedding.Rows, embedding.Columns, embedding.Bytes, embedding.SharesWeightOf));
        Assert.Equal("head", report.Layers[^1].Name);
        Assert.Equal((Tokens * Width, 5L * Tokens), (report.Layers[^1].Bytes!.Codes, report.Layers[^1].Bytes!.Scales));
        GraphProto graph = Graph(report.Output);
        AssertStoredOnce(graph);
        Assert.Contains(graph.Node, node => node.OpType == "MatMulW8A16");

        string rounded = VocabularyModel.Write(Directory.CreateDirectory(Path.Combine(_folder, "rounded")).FullName, form, change: Rounded);
        Assert.NotNull(report.Layers[^1].OutputError);
        VerifyResult same = Compare(rounded, report.Output);
        Assert.InRange(same.LargestDifference, 0, form == VocabularyForm.Cast ? 0.05 : 1e-5);
    }

    [Theory]
    [InlineData(EmissionProfile.Stock)]
    [InlineData(EmissionProfile.Portable)]
    internal void Stock_ONNX_Runtime_computes_the_same(EmissionProfile profile)
    {
        string model = VocabularyModel.Write(_folder, VocabularyForm.Transposed);
        QuantizeReport report = Run(Both(model));
        string other = Run(Both(model) with { Profiles = [profile], OutputPath = Path.Combine(_folder, "other.onnx") }).Output;
        AssertStoredOnce(Graph(other));
        using var session = new InferenceSession(other);
        Assert.Equal(Tokens, session.OutputMetadata["logits"].Dimensions[2]);
        VerifyResult same = Compare(report.Output, other);
        Assert.InRange(same.LargestDifference, 0, 1e-5);
    }

    [Theory]
    [InlineData(DataType.Float)]
    [InlineData(DataType.Float16)]
    [InlineData(DataType.Bfloat16)]
    internal void With_the_body_quantized_too_every_type_of_model_stays_near_the_float_model(DataType type)
    {
        string model = VocabularyModel.Write(_folder, VocabularyForm.Transposed, type);
        QuantizeOptions options = Both(model) with
        {
            Selection = new(),
            Quantization = new QuantizationOptions { GroupSize = 16, Rank = 32 },
            LayerTarget = LayerTarget.Residual,
            Rotation = QuantizeOptions.AutoRotation,
        };
        QuantizeReport report = Run(options);
        Assert.Equal([.. TinyDecoder.Layers, "head"], report.Layers.Select(layer => layer.Name));
        Assert.Equal(1, Perplexity(report.Output) / Perplexity(model), 0.02);
    }

    /// <summary>The branch is fitted to what the head reads, so that it makes good what rounding its rows costs the logits.</summary>
    [Fact]
    public void A_branch_beside_the_shared_rows_brings_the_head_nearer()
    {
        QuantizeOptions options = Both(VocabularyModel.Write(_folder, VocabularyForm.Transposed)) with
        {
            Quantization = new QuantizationOptions { GroupSize = 16, Rank = 8, LowRankWeighting = LowRankWeighting.ActivationWeighted },
        };
        QuantizeReport plain = Run(options with { Quantization = options.Quantization with { Rank = 0 } });
        QuantizeReport report = Run(options);
        Assert.Equal(8, report.Layers[^1].Rank);
        Assert.InRange(report.Layers[^1].OutputError!.Value / plain.Layers[^1].OutputError!.Value, 0.1, 0.8);
        AssertStoredOnce(Graph(report.Output));
    }

    [Fact]
    public void A_head_of_its_own_is_calibrated_like_any_layer_and_reads_its_input_as_it_is()
    {
        string model = VocabularyModel.Write(_folder, VocabularyForm.Apart);
        QuantizeReport report = Run(Both(model) with
        {
            LayerTarget = LayerTarget.Residual,
            Rotation = QuantizeOptions.AutoRotation,
        });
        LayerReport head = Assert.Single(report.Layers);
        Assert.NotNull(head.OutputError);
        Assert.Equal(0, head.Rotation);
        Assert.Null(report.Embeddings[0].SharesWeightOf);
        Assert.Equal((Tokens * Width) + (4 * Tokens), report.Embeddings[0].Bytes);
        Assert.Contains(Graph(report.Output).Node, node => node.OpType == "MatMulW8A16");
        Assert.Equal(1, Perplexity(report.Output) / Perplexity(model), 0.02);
    }

    [Fact]
    public void The_same_bytes_come_from_any_number_of_threads_and_after_a_resume()
    {
        string model = VocabularyModel.Write(_folder, VocabularyForm.Transposed);
        QuantizeOptions options = Both(model) with { Selection = new(), Threads = 1 };
        string Hash(QuantizeOptions run) => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(Run(run).Output + ".data")));
        string expected = Hash(options);
        Assert.Equal(expected, Hash(options with { Threads = 2 }));
        Assert.Equal(expected, Hash(options with { Threads = 8 }));

        QuantizeOptions kept = options with { WorkFolder = Path.Combine(_folder, "work") };
        string without = Hash(kept with { Embedding = VocabularyFormat.Float });
        Assert.Equal(expected, Hash(kept));
        Assert.Equal(without, Hash(kept with { Embedding = VocabularyFormat.Float }));
        Assert.Equal(expected, Hash(kept));
    }

    [Theory]
    [InlineData(VocabularyFormat.Fp8, VocabularyFormat.Float)]
    [InlineData(VocabularyFormat.Float, VocabularyFormat.Fp8)]
    internal void Half_of_a_tied_pair_is_the_warning_ZQFP0032_and_the_other_half_stays_float(
        VocabularyFormat head, VocabularyFormat embedding)
    {
        string model = VocabularyModel.Write(_folder, VocabularyForm.Transposed);
        QuantizeReport report = Run(Both(model) with { Head = head, Embedding = embedding, Selection = new() });
        Assert.Contains(report.Warnings, warning => warning.Code == "ZQFP0032");
        Assert.Contains(Graph(report.Output).Initializer, tensor => tensor.Name == "embedding");
        Assert.Equal(1, Perplexity(report.Output) / Perplexity(model), 0.1);
    }

    [Fact]
    public void Without_an_embedding_or_a_head_the_codes_say_so()
    {
        string model = VocabularyModel.Write(_folder, VocabularyForm.Apart);
        QuantizeOptions options = Both(model) with { Selection = new() { Exclude = ["head"] } };
        Assert.Equal("ZQFP0031", Assert.Throws<ZqfpException>(() => Run(options)).Code);

        ModelProto proto = ModelProto.Parser.ParseFrom(File.ReadAllBytes(model));
        NodeProto lookup = proto.Graph.Node.Single(node => node.OpType == "Gather");
        proto.Graph.Initializer.Add(new TensorProto { Name = "one", DataType = (int)DataType.Float, Dims = { 1 }, FloatData = { 1 } });
        proto.Graph.Node.Insert(0, new NodeProto { OpType = "Mul", Input = { "embedding", "one" }, Output = { "scaled" } });
        lookup.Input[0] = "scaled";
        File.WriteAllBytes(model, Google.Protobuf.MessageExtensions.ToByteArray(proto));
        ZqfpException refusal = Assert.Throws<ZqfpException>(() => Run(Both(model)));
        Assert.Equal(("ZQFP0030", model), (refusal.Code, refusal.File));
        Assert.False(File.Exists(options.OutputPath));
    }

    [Theory]
    [InlineData(VocabularyForm.Apart)]
    [InlineData(VocabularyForm.Transposed)]
    [InlineData(VocabularyForm.Twice)]
    public void The_plan_has_the_bytes_that_are_written(VocabularyForm form)
    {
        QuantizeOptions options = Both(VocabularyModel.Write(_folder, form)) with { Selection = new() };
        QuantizePlan plan = PlanJob.Run(options, CancellationToken.None);
        QuantizeReport report = Run(options);
        long stored = report.Layers.Sum(layer => layer.Bytes!.Codes + layer.Bytes.Scales + layer.Bytes.Correction)
            + report.Embeddings.Sum(table => table.Bytes);
        Assert.Equal(stored, plan.Model.QuantizedBytes);
        Assert.Equal(report.BitsPerWeight, plan.BitsPerWeight, 1e-9);
        InspectedLayer embedding = Assert.Single(plan.Model.Embeddings);
        Assert.Equal(report.Embeddings[0].Bytes, embedding.QuantizedBytes);
        Assert.Empty(plan.Model.Coverage.Exceptions);
    }

    [Fact]
    public void Weights_that_are_no_numbers_are_refused()
    {
        string model = VocabularyModel.Write(_folder, VocabularyForm.Transposed, change: table => [float.NaN, .. table[1..]]);
        ZqfpException refusal = Assert.Throws<ZqfpException>(() => Run(Both(model)));
        Assert.Equal(("ZQFP2002", model), (refusal.Code, refusal.File));
    }

    private static float[] Rounded(float[] table)
    {
        float[] rounded = new float[table.Length];
        for (int row = 0; row < Tokens; row++)
        {
            Span<float> values = table.AsSpan(row * Width, Width);
            float scale = values.ToArray().Max(MathF.Abs) / 448;
            for (int i = 0; i < Width; i++)
            {
                rounded[(row * Width) + i] = NumberFormat.E4M3.Round(values[i] / scale) * scale;
            }
        }

        return rounded;
    }

    private static GraphProto Graph(string path) => ModelProto.Parser.ParseFrom(File.ReadAllBytes(path)).Graph;

    /// <summary>Both read one region of the data file, as bytes and as FP8, and the float weight is gone.</summary>
    private static void AssertStoredOnce(GraphProto graph)
    {
        string[] places =
        [
            .. graph.Initializer.Where(tensor => tensor.Name.EndsWith("codes", StringComparison.Ordinal))
                .Select(tensor => tensor.ExternalData.Single(entry => entry.Key == "offset").Value),
        ];
        Assert.Equal(2, places.Length);
        Assert.Single(places.Distinct());
        Assert.DoesNotContain(graph.Initializer, tensor => tensor.Name is "head.weight" or "embedding" or "embedding.narrow");
    }

    /// <summary>Head and embedding as FP8, everything else as it is.</summary>
    private QuantizeOptions Both(string model) => new()
    {
        ModelPath = model,
        OutputPath = Path.Combine(_folder, "out", "model.onnx"),
        CalibrationPath = TinyDecoder.WriteTokens(_folder, 4096),
        Window = 64,
        Windows = 32,
        Head = VocabularyFormat.Fp8,
        Embedding = VocabularyFormat.Fp8,
        Selection = new LayerSelection { Exclude = ["up*", "down*"] },
        Quantization = new QuantizationOptions { GroupSize = 16, Rank = 2 },
    };

    private static VerifyResult Compare(string reference, string model) => VerifyJob.Run(
        new VerifyOptions { ReferencePath = reference, ModelPath = model, Window = 64 }, new SilentObserver(), CancellationToken.None);

    private double Perplexity(string model) => EvaluateJob.Run(
        new EvaluateOptions { ModelPath = model, TextPath = TinyDecoder.WriteTokens(_folder, 4096), Window = 64, Windows = 32 },
        new SilentObserver(),
        CancellationToken.None).Perplexity;

    private static QuantizeReport Run(QuantizeOptions options) => QuantizeJob.Run(options, new SilentObserver(), CancellationToken.None);
}
