using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Choices of one question are scored behind a cache of what they have in common, with the same scores.</summary>
public sealed class CachedScoringTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("Mistral", Idiom.TorchScript)]
    [InlineData("BLOOM", Idiom.TorchScript)]
    [InlineData("GPT-2", Idiom.Dynamo)]
    [InlineData("Qwen 3", Idiom.Dynamo)]
    [InlineData("Mistral", Idiom.GenAi)]
    [InlineData("Gemma 3", Idiom.GenAi)]
    public void Scores_behind_a_cache_are_those_without_one(string name, Idiom idiom)
    {
        Family family = Family.All.Single(family => family.Name == name);
        ModelFacts facts = Write(FamilyGraph.Make(family, idiom, hasCache: idiom != Idiom.GenAi));
        Assert.Equal(2 * FamilyGraph.Blocks, facts.Caches.Count);
        RequireSame(facts, 1e-4, behindCache: 20);
    }

    /// <summary>Positions that begin at 0 behind a cache make other logits: the cache is not used.</summary>
    [Fact]
    public void A_cache_behind_which_the_model_computes_something_else_is_not_used()
    {
        ModelProto model = FamilyGraph.Make(Family.All.Single(family => family.Name == "GPT-2"), Idiom.Dynamo, hasCache: true);
        NodeProto[] readers = [.. model.Graph.Node.Where(node => node.Input.Contains("position_ids"))];
        Assert.NotEmpty(readers);
        foreach (NodeProto reader in readers)
        {
            reader.Input[reader.Input.IndexOf("position_ids")] = "restarted";
        }

        model.Graph.Node.Insert(0, new NodeProto { OpType = "Sub", Input = { "position_ids", "first" }, Output = { "restarted" } });
        model.Graph.Node.Insert(0, new NodeProto { OpType = "ReduceMin", Input = { "position_ids" }, Output = { "first" } });

        // Weights large enough that a token's place matters.
        foreach (TensorProto tensor in model.Graph.Initializer.Where(tensor => tensor.DataType == (int)DataType.Float && tensor.HasRawData))
        {
            float[] values = [.. MemoryMarshal.Cast<byte, float>(tensor.RawData.Span)];
            tensor.RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<float>([.. values.Select(value => 4 * value)]));
        }

        RequireSame(Write(model), 0, behindCache: 0);
    }

    private static void RequireSame(ModelFacts facts, double tolerance, int behindCache)
    {
        TaskRequest[] requests = Requests(facts.Vocabulary!.Value);
        RequestScore[] cached = Score(facts, requests, behindCache);
        RequestScore[] whole = Score(facts with { Caches = [] }, requests, behindCache: 0);
        Assert.All(whole.Zip(cached), pair => Assert.Equal(pair.First.LogLikelihood, pair.Second.LogLikelihood, tolerance));
        Assert.Equal(whole.Select(score => score.IsGreedy), cached.Select(score => score.IsGreedy));
    }

    private static RequestScore[] Score(ModelFacts facts, TaskRequest[] requests, int behindCache)
    {
        using var model = new LanguageModel(facts, threads: 2, remembers: true);
        TaskScorer scorer = new(model, facts, requests, threads: 2);
        RequestScore[] scores = scorer.Score(_ => { }, CancellationToken.None);
        Assert.Equal(behindCache, scorer.BehindCache);
        return scores;
    }

    /// <summary>Questions with choices of several lengths, and requests that have nothing in common with others.</summary>
    private static TaskRequest[] Requests(int vocabulary)
    {
        Random random = new(1);
        List<TaskRequest> requests = [];
        for (int question = 0; question < 5; question++)
        {
            int[] context = Ids(20 + random.Next(8));
            requests.AddRange(Enumerable.Range(0, 4).Select(_ => 1 + random.Next(5)).Select(
                length => new TaskRequest([.. context, .. Ids(length)], length)));
            requests.Add(new TaskRequest(Ids(12), 3));
        }

        return [.. requests];

        int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabulary))];
    }

    private ModelFacts Write(ModelProto model)
    {
        string path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, model.ToByteArray());
        return ModelFacts.Read(path);
    }
}
