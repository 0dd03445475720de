using System.Text.Json;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Zqfp.Tests;

namespace Zqfp.Benchmarks;

/// <summary>
/// Writes tokens with a language model, always the likeliest. A model with a key-value cache reads each token once; one without
/// reads all of them again for each.
/// </summary>
/// <param name="session">The model.</param>
/// <param name="folder">Where its <c>genai_config.json</c> is, which says the cache's shape where the model does not.</param>
internal sealed class Generator(InferenceSession session, string folder) : IDisposable
{
    private const string Past = "past_key_values.", Present = "present.";

    private readonly string[] _outputNames = [.. session.OutputNames];
    private readonly int _logits = Math.Max(0, session.OutputNames.ToList().IndexOf("logits"));

    public bool HasCache { get; } = session.InputNames.Any(name => name.StartsWith(Past, StringComparison.Ordinal));

    /// <summary>Goes on from a first token.</summary>
    public int[] Generate(int first, int count)
    {
        List<int> tokens = [first];
        OrtValue[] outputs = [];
        for (int i = 0; i < count; i++)
        {
            OrtValue[] inputs = [.. session.InputNames.Select(name => Input(name, tokens, outputs))];
            OrtValue[] next = session.Run([.. session.InputNames], inputs, _outputNames);
            Dispose(inputs.Except(outputs));
            Dispose(outputs);
            outputs = next;
            tokens.Add(Likeliest(outputs[_logits]));
        }
        Dispose(outputs);
        return [.. tokens.Skip(1)];
    }

    public void Dispose() => session.Dispose();

    private OrtValue Input(string name, List<int> tokens, OrtValue[] outputs)
    {
        if (name.StartsWith(Past, StringComparison.Ordinal))
        {
            int present = Array.IndexOf(_outputNames, Present + name[Past.Length..]);
            return outputs.Length > 0
                ? outputs[present]
                : EmptyCache(session.InputMetadata[name]);
        }
        int read = HasCache ? tokens.Count - 1 : 0;
        long[] values = name switch
        {
            "attention_mask" => [.. Enumerable.Repeat(1L, tokens.Count)],
            "position_ids" => [.. Enumerable.Range(read, tokens.Count - read).Select(position => (long)position)],
            _ => [.. tokens.Skip(read).Select(token => (long)token)],
        };
        return OrtValue.CreateTensorValueFromMemory<long>(values, [1, values.Length]);
    }

    private OrtValue EmptyCache(NodeMetadata cache)
    {
        (long heads, long size) = (cache.Dimensions[1], cache.Dimensions[3]);
        if (heads < 0 || size < 0)
        {
            using var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "genai_config.json")));
            JsonElement decoder = config.RootElement.GetProperty("model").GetProperty("decoder");
            (heads, size) = (decoder.GetProperty("num_key_value_heads").GetInt64(), decoder.GetProperty("head_size").GetInt64());
        }

        return OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, cache.ElementDataType, [1, heads, 0, size]);
    }

    private static int Likeliest(OrtValue logits)
    {
        OrtTensorTypeAndShapeInfo tensor = logits.GetTensorTypeAndShape();
        int vocabulary = (int)tensor.Shape[^1];
        return tensor.ElementDataType == TensorElementType.Float16
            ? IndexOfMax<Half>(logits.Halves()[^vocabulary..])
            : IndexOfMax<float>(logits.GetTensorDataAsSpan<float>()[^vocabulary..]);
    }

    private static int IndexOfMax<T>(ReadOnlySpan<T> values)
        where T : IComparable<T>
    {
        int best = 0;
        for (int i = 1; i < values.Length; i++)
        {
            best = values[i].CompareTo(values[best]) > 0 ? i : best;
        }
        return best;
    }

    private static void Dispose(IEnumerable<OrtValue> values)
    {
        foreach (OrtValue value in values)
        {
            value.Dispose();
        }
    }
}
