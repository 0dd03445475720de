using System.Globalization;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

/// <summary>Small random decoders of many families, written as exporters write them. The figures are in <c>docs/models.md</c>.</summary>
public sealed class FamilyTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Every family as both exporters of PyTorch write it, and those that GenAI's builder knows as it does.</summary>
    public static TheoryData<string, Idiom> Graphs
    {
        get
        {
            string[] built = ["Phi", "Gemma 2", "Gemma 3", "Qwen 2", "Qwen 3", "Mistral", "OLMo"];
            TheoryData<string, Idiom> graphs = [];
            foreach (Family family in Family.All)
            {
                graphs.Add(family.Name, Idiom.Dynamo);
                graphs.Add(family.Name, Idiom.TorchScript);
                if (built.Contains(family.Name))
                {
                    graphs.Add(family.Name, Idiom.GenAi);
                }
            }

            return graphs;
        }
    }

    [Theory]
    [MemberData(nameof(Graphs))]
    public void All_layers_are_found_nothing_is_lost_on_the_grid_and_little_by_default(string name, Idiom idiom)
    {
        Family family = Family.All.Single(family => family.Name == name);
        string tokens = TinyDecoder.WriteTokens(_folder, 2048);
        var model = new GraphCase(FamilyGraph.Write(_folder, family, idiom), tokens, tokens, _folder);

        bool isPacked = idiom == Idiom.GenAi && !family.HasHeadNorms;
        QuantizeReport exact = model.Quantize(model.Exact);
        Assert.Equal(FamilyGraph.Blocks * (isPacked ? family.Layers - 2 : family.Layers), exact.Layers.Count);
        Assert.Equal(1, exact.Coverage!.BodyShare);
        double difference = model.Compare(exact.Output).LargestDifference;
        Assert.InRange(difference, 0, 1e-5);

        QuantizeReport usual = model.Quantize(model.Options with
        {
            Profiles = [EmissionProfile.Custom, EmissionProfile.Portable, EmissionProfile.Stock],
        });
        double[] divergences = [.. usual.Outputs.Select(path => model.Compare(path).KullbackLeibler)];
        Assert.All(divergences, divergence => Assert.InRange(divergence, 0, 0.02));
        string exporter = idiom switch { Idiom.Dynamo => "dynamo", Idiom.GenAi => "GenAI builder", _ => "TorchScript" };
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| {name} | {exporter} | {exact.Layers.Count} | {difference:0.0e+0} | {divergences[0]:0.0000} | {divergences[1]:0.0000} "
            + $"| {divergences[2]:0.0000} |"));
    }
}
