using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Quantization.Tests;

/// <summary>Models that are damaged in their structure: every command ends in a result or in one coded error.</summary>
public sealed class MalformedModelTests : IDisposable
{
    /// <summary>Damages of each model; a few hundred of each were tried when the checks were written.</summary>
    private const int Seeds = 12;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string> Models => new("base", "moe_batched", "moe_operator", "sequence", "TorchScript", "GenAi", "Einsum",
        "Conv", "FusedMatMul", "Gemm", "Function", "If", "Sparse", "Left");

    [Theory]
    [MemberData(nameof(Models))]
    public void A_damaged_model_ends_in_a_coded_error_or_in_a_result(string name)
    {
        string tokens = TinyDecoder.WriteTokens(_folder, 256);
        string path = Path.Combine(_folder, "damaged.onnx");
        byte[] whole = Read(name);
        for (int seed = 0; seed < Seeds; seed++)
        {
            ModelProto model = ModelProto.Parser.ParseFrom(whole);
            string damage = new ModelMutator(seed).Damage(model);
            File.WriteAllBytes(path, model.ToByteArray());
            var damaged = new GraphCase(path, tokens, tokens, _folder);
            RequireCoded(() => damaged.Inspect());
            RequireCoded(() => damaged.Perplexity());
            RequireCoded(() => damaged.Compare(path));
            RequireCoded(() => damaged.Quantize(damaged.Exact with { Windows = 4 }));

            void RequireCoded(Action job)
            {
                Exception? exception = Record.Exception(job);
                Assert.True(exception is null or ZqfpException, $"Seed {seed} ({damage}): {exception}");
            }
        }
    }

    private static byte[] Read(string name) => name switch
    {
        _ when Enum.TryParse(name, out Idiom idiom) =>
            FamilyGraph.Make(Family.All.Single(family => family.Name == "Qwen 3"), idiom).ToByteArray(),
        _ when FormTests.Forms.Any(form => form.Data == name) || name == "If" => LayerForms.Spelled(name).ToByteArray(),
        _ => File.ReadAllBytes(Repository.Path($"tests/Cases/{name}/model.onnx")),
    };
}
