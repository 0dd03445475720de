using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Evaluation.Tests;

public sealed class LanguageModelTests : IDisposable
{
    private const int LargeVocabulary = 40_000;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false, WeightForm.Plain)]
    [InlineData(true, WeightForm.Plain)]
    [InlineData(false, WeightForm.CastFromBfloat16)]
    [InlineData(false, WeightForm.Int8)]
    public void A_large_vocabulary_is_computed_for_some_tokens_at_a_time_and_the_logits_are_the_models(bool isHalf, WeightForm form)
    {
        string path = TinyDecoder.Write(_folder, isHalf ? DataType.Float16 : DataType.Float, form, vocabulary: LargeVocabulary);
        TokenBatch batch = Batch(windows: 3, length: 200);
        float[] expected = WholeLogits(path, batch);

        // The whole model's logits are rounded to float16; a few fall on the other side.
        double tolerance = isHalf ? 3e-5 : 1e-6;
        var parts = new List<int>();
        using var model = new LanguageModel(ModelFacts.Read(path), threads: 2);
        foreach (LogitRows rows in model.Run(batch, batch.Predicting, CancellationToken.None))
        {
            parts.Add(rows.Count);
            for (int i = 0; i < rows.Count; i++)
            {
                ReadOnlySpan<float> whole = expected.AsSpan(rows.Tokens[i] * LargeVocabulary, LargeVocabulary);
                float[] row = rows.Row(i, new float[LargeVocabulary]).ToArray();
                row = isHalf ? Array.ConvertAll(row, logit => (float)(Half)logit) : row;
                Assert.InRange(TensorPrimitives.Distance(whole, row) / Math.Sqrt(LargeVocabulary), 0, tolerance);
            }
        }

        Assert.Equal(1, model.OutputsPerToken);
        Assert.Equal(3 * 199, parts.Sum());
        Assert.True(parts.Count > 1);
    }

    [Fact]
    public void A_small_vocabulary_is_computed_at_once()
    {
        string path = TinyDecoder.Write(_folder);
        TokenBatch batch = Batch(windows: 2, length: 8);
        using var model = new LanguageModel(ModelFacts.Read(path), threads: 2);

        float[] expected = WholeLogits(path, batch);

        Assert.Equal(TinyDecoder.Vocabulary, model.OutputsPerToken);
        float[][] last = [.. model.Run(batch, [3, 9], CancellationToken.None).Select(rows => rows.Row(1, []).ToArray())];
        Assert.Equal(expected[(9 * TinyDecoder.Vocabulary)..(10 * TinyDecoder.Vocabulary)], Assert.Single(last));
    }

    private static TokenBatch Batch(int windows, int length) =>
        new([.. Enumerable.Range(0, windows * length).Select(i => i * 7 % TinyDecoder.Vocabulary)], windows, length);

    private static float[] WholeLogits(string path, TokenBatch batch)
    {
        using var model = ModelSession.Open(ModelFacts.Read(path), new SessionSettings(2), Zqfp.CudaOps.ZqfpDevice.Cpu);
        using OrtValue ids = OrtValue.CreateTensorValueFromMemory<long>(
            Array.ConvertAll(batch.Ids, id => (long)id), [batch.Windows, batch.Length]);
        using OrtValue logits = model.Run([ids], ["logits"], CancellationToken.None)[0];
        Span<byte> bytes = logits.GetTensorMutableRawData();
        return logits.GetTensorTypeAndShape().ElementDataType == Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.Float
            ? MemoryMarshal.Cast<byte, float>(bytes).ToArray()
            : Array.ConvertAll(MemoryMarshal.Cast<byte, Half>(bytes).ToArray(), half => (float)half);
    }
}
