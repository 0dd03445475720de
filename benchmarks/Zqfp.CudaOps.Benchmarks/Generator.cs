using Zqfp.CudaOps;

namespace Zqfp.Benchmarks;

/// <summary>
/// Writes tokens with a language model, always the likeliest. A model with a key-value cache reads each token once; one without
/// reads all of them again for each.
/// </summary>
internal sealed class Generator(OrtEnvironment environment, OrtSession session) : IDisposable
{
    private const string Past = "past_key_values.", Present = "present.";

    private readonly string[] _outputNames = [.. session.Outputs.Select(output => output.Name)];
    private readonly int _logits = Math.Max(0, session.Outputs.ToList().FindIndex(output => output.Name == "logits"));

    public bool HasCache { get; } = session.Inputs.Any(input => input.Name.StartsWith(Past, StringComparison.Ordinal));

    /// <summary>Goes on from a first token.</summary>
    public int[] Generate(int first, int count)
    {
        List<int> tokens = [first];
        OrtValue[] outputs = [];
        for (int i = 0; i < count; i++)
        {
            OrtValue[] inputs = [.. session.Inputs.Select(input => Input(input, tokens, outputs))];
            OrtValue[] next = session.Run([.. session.Inputs.Select(input => input.Name)], inputs, _outputNames);
            Dispose(inputs.Except(outputs));
            Dispose(outputs);
            outputs = next;
            tokens.Add(Likeliest(outputs[_logits]));
        }
        Dispose(outputs);
        return [.. tokens.Skip(1)];
    }

    public void Dispose() => session.Dispose();

    private OrtValue Input(OrtValueInfo input, List<int> tokens, OrtValue[] outputs)
    {
        if (input.Name.StartsWith(Past, StringComparison.Ordinal))
        {
            int present = Array.IndexOf(_outputNames, Present + input.Name[Past.Length..]);
            return outputs.Length > 0
                ? outputs[present]
                : OrtValue.Allocate(environment, input.ElementType, [1, input.Dimensions[1].Size!.Value, 0, input.Dimensions[3].Size!.Value]);
        }
        int read = HasCache ? tokens.Count - 1 : 0;
        long[] values = input.Name switch
        {
            "attention_mask" => [.. Enumerable.Repeat(1L, tokens.Count)],
            "position_ids" => [.. Enumerable.Range(read, tokens.Count - read).Select(position => (long)position)],
            _ => [.. tokens.Skip(read).Select(token => (long)token)],
        };
        return OrtValue.Create<long>(environment, values, [1, values.Length]);
    }

    private static int Likeliest(OrtValue logits)
    {
        int vocabulary = (int)logits.Shape[^1];
        return logits.ElementType == OrtElementType.Float16
            ? IndexOfMax<Half>(logits.AsReadOnlySpan<Half>()[^vocabulary..])
            : IndexOfMax<float>(logits.AsReadOnlySpan<float>()[^vocabulary..]);
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
