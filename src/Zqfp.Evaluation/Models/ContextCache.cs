using Microsoft.ML.OnnxRuntime;

namespace Zqfp.Evaluation;

/// <summary>
/// Keys and values of tokens that were run before, of each window of a batch: what a model reads in the place of these tokens.
/// </summary>
/// <param name="length">Tokens.</param>
/// <param name="values">For each cache input of the model, [windows, ..].</param>
internal sealed class ContextCache(int length, IReadOnlyDictionary<string, OrtValue> values) : IDisposable
{
    /// <summary>Tokens that every window has in it.</summary>
    public int Length => length;

    /// <summary>What a cache input is fed, which stays this object's; null where the input is no cache.</summary>
    public OrtValue? Of(string input) => values.GetValueOrDefault(input);

    /// <summary>A cache for other windows, each of which continues one of these.</summary>
    /// <param name="windows">For each new window, the one that it continues.</param>
    public ContextCache Continue(IReadOnlyList<int> windows) => new(
        length, values.ToDictionary(pair => pair.Key, pair => Repeat(pair.Value, windows), StringComparer.Ordinal));

    public void Dispose()
    {
        foreach (OrtValue value in values.Values)
        {
            value.Dispose();
        }
    }

    private static OrtValue Repeat(OrtValue value, IReadOnlyList<int> windows)
    {
        OrtTensorTypeAndShapeInfo tensor = value.GetTensorTypeAndShape();
        Span<byte> source = value.GetTensorMutableRawData();
        int size = source.Length / (int)tensor.Shape[0];
        var repeated = OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance, tensor.ElementDataType, [windows.Count, .. tensor.Shape[1..]]);
        Span<byte> target = repeated.GetTensorMutableRawData();
        for (int i = 0; i < windows.Count; i++)
        {
            source.Slice(windows[i] * size, size).CopyTo(target[(i * size)..]);
        }

        return repeated;
    }
}
