using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

public sealed class ExpertMatesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Gate_and_up_of_every_expert_are_joined()
    {
        LayerChoice[] choices = Choices("moe silu fc3");
        Assert.Equal(choices.Count(choice => choice.Layer.IsExpert) / 3, Joined(choices).Count(name => name is not null));
    }

    [Fact]
    public void The_experts_of_one_constant_join_all_or_none()
    {
        LayerChoice[] choices = Choices("moe silu fc3");
        int other = Array.FindIndex(choices, choice => choice.Layer.IsExpert);
        choices[other] = choices[other] with { Options = choices[other].Options with { Constraint = ScaleConstraint.M1 } };
        Assert.All(Joined(choices), Assert.Null);
    }

    [Fact]
    public void A_layer_has_another_key_where_it_is_quantized_with_others()
    {
        LayerChoice[] choices = Choices("moe silu fc3");
        LinearLayer up = choices.First(choice => choice.Layer.JoinedTo is not null).Layer;
        string dense = choices.First(choice => !choice.Layer.IsExpert).Layer.Name;
        string ups = $"{up.Expert!.Group}/experts.*";
        Assert.NotEqual(Key(up.JoinedTo!), Key(up.JoinedTo!, leftOut: ups));
        Assert.Equal(Key(dense), Key(dense, leftOut: ups));
    }

    private LayerChoice[] Choices(string form)
    {
        using OnnxFile file = OnnxFile.Open(MixtureGraph.Write(_folder, form, new Mixture()));
        return [.. ModelLayers.Of(file, Options()).Choices];
    }

    private string Key(string layer, params string[] leftOut)
    {
        QuantizeOptions options = Options() with { Selection = new LayerSelection { Exclude = leftOut } };
        using OnnxFile file = OnnxFile.Open(options.ModelPath);
        ModelLayers model = ModelLayers.Of(file, options);
        Dictionary<string, QuantizationOptions> recipes = model.Chosen.ToDictionary(choice => choice.Layer.Name, choice => choice.Options);
        IReadOnlyList<CalibrationStage> stages =
            new TargetPlan(options, file, model, [.. model.Chosen.Select(choice => choice.Layer)]).Stages;
        LayerKey[] keys =
            LayerKeys.Of(options, file, stages, one => recipes[one.Name], [], new InputFiles(), CancellationToken.None);
        return stages.SelectMany(stage => stage.Layers).Zip(keys).Single(pair => pair.First.Name == layer).Second.Hash;
    }

    private QuantizeOptions Options() => new()
    {
        ModelPath = Path.Combine(_folder, "model.onnx"),
        OutputPath = Path.Combine(_folder, "out", "model.onnx"),
        CalibrateOn = CalibrationSource.Float,
    };

    /// <summary>What layers are joined to when all are marked anew.</summary>
    private static string?[] Joined(IReadOnlyList<LayerChoice> choices)
    {
        LayerChoice[] apart = [.. choices.Select(choice => choice with { Layer = choice.Layer with { JoinedTo = null } })];
        return [.. ExpertMates.Mark(apart).Select(choice => choice.Layer.JoinedTo)];
    }
}
