using Microsoft.ML.OnnxRuntime.Tensors;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>What a plan says that values take is compared with the values of a run; none of these graphs declares them.</summary>
public sealed class ValueBytesTests(ITestOutputHelper output) : IDisposable
{
    private const int Window = 16;
    private const int Windows = 3;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(FamilyTests.Graphs), MemberType = typeof(FamilyTests))]
    public void What_decoders_keep_is_known(string name, Idiom idiom) => Assert.All(
        Kept(FamilyGraph.Write(_folder, Family.All.Single(family => family.Name == name), idiom)),
        value => Assert.Equal(value.Measured, value.Said));

    [Theory]
    [MemberData(nameof(MixtureFormTests.Forms), MemberType = typeof(MixtureFormTests))]
    public void What_mixtures_keep_is_no_more_than_said(string form) => Assert.All(
        Kept(MixtureGraph.Write(_folder, form, new Mixture())),
        value => Assert.True(value.Measured <= value.Said, value.ToString()));

    [Fact]
    public void Types_of_16_bits_are_kept_in_float32() => Assert.All(
        Kept(TinyDecoder.Write(_folder, DataType.Float16)), value => Assert.Equal(value.Measured, value.Said));

    [Fact]
    public void The_samples_values_are_known() =>
        Assert.All(Kept(SampleModel.Model), value => Assert.Equal(value.Measured, value.Said));

    private HashSet<Value> Kept(string path)
    {
        QuantizeOptions options = new() { ModelPath = path, OutputPath = "out.onnx", Window = Window, LayerTarget = LayerTarget.Residual };
        using OnnxFile file = OnnxFile.Open(path);
        ModelLayers model = ModelLayers.Of(file, options);
        var plan = new TargetPlan(options, file, model, [.. model.Chosen.Select(choice => choice.Layer)]);
        IReadOnlyList<TokenBatch> batches = SliceRunner.Batches(
            [.. Enumerable.Range(0, Windows).Select(w => Enumerable.Range(0, Window).Select(i => ((7 * i) + w) % 50).ToArray())],
            model.Facts.FixedBatch);
        HashSet<Value> all = [];
        foreach (IReadOnlyList<CalibrationStage> stages in (IReadOnlyList<CalibrationStage>[])[plan.Stages, plan.Float!])
        {
            using var runner = new SliceRunner(
                new ModelRewriter(file, model.Graph), batches, new TokenFeeds(model.Facts), new Workers(1, CancellationToken.None));
            foreach (CalibrationStage stage in stages)
            {
                runner.Run(stage, isObserved: false).Dispose();
                all.UnionWith(runner.Kept.Select(kept => new Value(
                    kept.Key, Enumerable.Range(0, batches.Count).Sum(kept.Value.Length) * SizeOf(kept.Value.Type),
                    plan.Values.Of(kept.Key) * Windows * Window)));
            }
        }

        foreach (Value value in all.Where(value => value.Measured != value.Said))
        {
            output.WriteLine(value.ToString());
        }

        return all;
    }

    private static int SizeOf(TensorElementType type) => type switch
    {
        TensorElementType.Int64 or TensorElementType.Double => 8,
        TensorElementType.Float16 => 2,
        TensorElementType.Bool => 1,
        _ => 4,
    };

    private sealed record Value(string Name, long Measured, long Said);
}
