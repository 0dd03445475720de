using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Graphs of four exporters, in two types, with and without a cache, of usual and of awkward sizes.</summary>
public sealed class SharedModelTests : IDisposable
{
    private const int Window = 256;
    private const string TinyStories = "tinystories-llama-3.7m";

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [ReferenceTheory("models", "golden/held_tokens_llama32k.i16")]
    [InlineData("tinystories-llama-3.7m/dynamo-fp32")]
    [InlineData("tinystories-llama-3.7m/genai-fp32")]
    [InlineData("tinystories-llama-3.7m/kv-fp16")]
    [InlineData("stories15m/dynamo-fp32")]
    [InlineData("opt-tiny-32m/dynamo-fp16")]
    [InlineData("stories260k/dynamo-fp32")]
    public void All_profiles_compute_the_same(string model)
    {
        QuantizeReport report = QuantizeJob.Run(
            new QuantizeOptions
            {
                ModelPath = Repository.Reference($"models/{model}/model.onnx"),
                OutputPath = Path.Combine(_folder, "model.onnx"),
                Profiles = [EmissionProfile.Custom, EmissionProfile.Portable, EmissionProfile.Qdq],
                Activations = ActivationFormat.None,
                Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn, GroupSize = 96, Rank = 2 },
            },
            new SilentObserver(),
            CancellationToken.None);
        double expected = Perplexity(report.Output, model, windows: 4);
        string[] others = [report.Outputs[1], Edit(report.Outputs[1], ForgetOperators), Edit(report.Outputs[2], Dequantize)];
        Assert.All(others, other => Assert.InRange(Perplexity(other, model, windows: 4) / expected, 1 - 1e-4, 1 + 1e-4));
    }

    /// <summary>With rounded activations, of which a last bit may move a code: the profiles then agree to that.</summary>
    [ReferenceTheory("models", "golden/held_tokens_llama32k.i16")]
    [InlineData("tinystories-llama-3.7m/dynamo-fp32", "GateQuantizeTokens", 0)]
    [InlineData("tinystories-llama-3.7m/genai-fp32", "NormQuantizeTokens", 64)]
    [InlineData("opt-tiny-32m/dynamo-fp16", "ActivateQuantizeTokens", 0)]
    public void Fused_operators_compute_the_same_as_bodies(string model, string fused, int rotation)
    {
        QuantizeReport report = QuantizeJob.Run(
            new QuantizeOptions
            {
                ModelPath = Repository.Reference($"models/{model}/model.onnx"),
                OutputPath = Path.Combine(_folder, "model.onnx"),
                Profiles = [EmissionProfile.Custom, EmissionProfile.Portable],
                Fusion = OperatorFusion.All,
                Rotation = rotation,
                Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn, Rank = 2 },
            },
            new SilentObserver(),
            CancellationToken.None);
        Assert.All(report.Outputs, output => Assert.Contains(
            fused, ModelProto.Parser.ParseFrom(File.ReadAllBytes(output)).Graph.Node.Select(node => node.OpType)));
        double expected = Perplexity(report.Output, model, windows: 4);
        string[] others = [report.Outputs[1], Edit(report.Outputs[1], ForgetOperators)];
        Assert.All(others, other => Assert.InRange(Perplexity(other, model, windows: 4) / expected, 1 - 5e-3, 1 + 5e-3));
    }

    /// <summary>
    /// GPTQ, M2 to nearest, LoRC of rank 8; the references are those of an independent implementation of the same recipe.
    /// </summary>
    [ReferenceFact("models", "golden/held_tokens_llama32k.i16")]
    public void The_increase_of_stories15m_is_that_of_the_reference() => IncreaseIsThatOfReference("stories15m/dynamo-fp32", 2.883, 3.115);

    /// <inheritdoc cref="The_increase_of_stories15m_is_that_of_the_reference"/>
    [LongReferenceFact("models", "golden/held_tokens_llama32k.i16")]
    public void The_increase_of_OPT_is_that_of_the_reference() => IncreaseIsThatOfReference("opt-tiny-32m/dynamo-fp16", 3.820, 3.850);

    [ReferenceFact("models/tinystories-llama-3.7m", "golden/perplexity.json")]
    public void Three_exporters_graphs_of_one_model_have_the_same_perplexity()
    {
        double[] perplexities = [.. new[] { "dynamo-fp32", "genai-fp32", "kv-fp16" }.Select(
            form => Perplexity(Repository.Reference($"models/{TinyStories}/{form}/model.onnx"), TinyStories, windows: 8))];
        Assert.All(perplexities, perplexity => Assert.InRange(perplexity / perplexities[0], 0.999, 1.001));
    }

    private void IncreaseIsThatOfReference(string model, double floating, double reference)
    {
        string path = Repository.Reference($"models/{model}/model.onnx");
        QuantizeReport report = QuantizeJob.Run(
            new QuantizeOptions
            {
                ModelPath = path,
                OutputPath = Path.Combine(_folder, "model.onnx"),
                CalibrationPath = HeldTokens("calibration", 0, 96),
                Window = Window,
            },
            new SilentObserver(),
            CancellationToken.None);
        double increase = (Perplexity(report.Output, model, windows: 96) / Perplexity(path, model, windows: 96)) - 1;
        Assert.InRange(increase, 0, 1.1 * ((reference / floating) - 1));
    }

    private double Perplexity(string path, string model, int windows)
    {
        bool isSample = model.StartsWith(TinyStories, StringComparison.Ordinal);
        var options = new EvaluateOptions
        {
            ModelPath = path,
            TextPath = isSample
                ? SampleModel.Evaluation
                : model.StartsWith("stories260k", StringComparison.Ordinal) ? SmallTokens()
                : HeldTokens("evaluation", 256, windows),
            TokenizerPath = isSample ? SampleModel.Tokenizer : null,
            Window = Window,
            Windows = windows,
        };
        return EvaluateJob.Run(options, new SilentObserver(), CancellationToken.None).Perplexity;
    }

    /// <summary>Windows of the held-out tokens, whose vocabulary is LLaMA's.</summary>
    private string HeldTokens(string name, int first, int count)
    {
        string path = Path.Combine(_folder, $"{name}.i16");
        byte[] all = File.ReadAllBytes(Repository.Reference("golden/held_tokens_llama32k.i16"));
        File.WriteAllBytes(path, all[(first * Window * 2)..((first + count) * Window * 2)]);
        return path;
    }

    /// <summary>Ids for a vocabulary of 512, for which there is no tokenizer here.</summary>
    private string SmallTokens()
    {
        string path = Path.Combine(_folder, "small.i16");
        File.WriteAllBytes(
            path, MemoryMarshal.AsBytes<short>([.. Enumerable.Range(0, 4 * Window).Select(i => (short)(3 + (i * i % 509)))]).ToArray());
        return path;
    }

    /// <summary>Another version of a model beside it, which shares its data.</summary>
    private static string Edit(string path, Action<ModelProto, string> change)
    {
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        change(model, path);
        string edited = Path.ChangeExtension(path, "edited.onnx");
        File.WriteAllBytes(edited, model.ToByteArray());
        return edited;
    }

    /// <summary>Renames the operators' domain: a session then knows no kernels for it and runs the bodies.</summary>
    private static void ForgetOperators(ModelProto model, string path)
    {
        // The length of a head is found through our operators where the model does not say it.
        foreach (TensorShapeProto.Types.Dimension dim in model.Graph.Input.SelectMany(input => input.Type.TensorType.Shape.Dim)
            .Where(dim => dim.DimParam == "kv_cache_dim"))
        {
            dim.DimValue = 32;
        }

        foreach (OperatorSetIdProto import in model.OpsetImport.Concat(model.Functions.SelectMany(function => function.OpsetImport))
            .Where(import => import.Domain == "zqfp"))
        {
            import.Domain = "unknown";
        }

        foreach (FunctionProto function in model.Functions)
        {
            function.Domain = "unknown";
        }

        foreach (NodeProto node in model.Graph.Node.Concat(model.Functions.SelectMany(function => function.Node))
            .Where(node => node.Domain == "zqfp"))
        {
            node.Domain = "unknown";
        }
    }

    /// <summary>Does what DequantizeLinear of FP4 means, for which ONNX Runtime has no kernel on the CPU.</summary>
    private static void Dequantize(ModelProto model, string path)
    {
        using OnnxRewriter.OnnxFile file = OnnxRewriter.OnnxFile.Open(path);
        foreach (NodeProto node in model.Graph.Node.Where(node => node.OpType == "DequantizeLinear"))
        {
            TensorProto codes = model.Graph.Initializer.Single(tensor => tensor.Name == node.Input[0]);
            TensorProto scales = model.Graph.Initializer.Single(tensor => tensor.Name == node.Input[1]);
            Assert.Equal((int)DataType.Float4E2M1, codes.DataType);
            long block = node.Attribute.Single(attribute => attribute.Name == "block_size").I;
            (long rows, long columns, long groups) = (codes.Dims[0], codes.Dims[1], scales.Dims[1]);
            float[] weights = new float[rows * columns];
            float[] scaleValues = new float[rows * groups];
            file.Read(scales).ReadFloats(0, scaleValues);
            NumberFormat.E2M1.DecodePacked(file.Read(codes).Slice(0, (int)((rows * columns) + 1) / 2).Span, weights);
            for (long i = 0; i < weights.Length; i++)
            {
                weights[i] *= scaleValues[(i / columns * groups) + (i % columns / block)];
            }

            model.Graph.Initializer.Remove(codes);
            model.Graph.Initializer.Add(Tensors.Floats(codes.Name, weights, codes.Dims));
            node.OpType = "Identity";
            node.Input.RemoveAt(1);
            node.Attribute.Clear();
        }
    }
}
