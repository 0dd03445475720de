using Microsoft.ML.OnnxRuntime;

namespace Zqfp.Evaluation;

/// <summary>Picks tokens from what a model's body gives.</summary>
internal static class HiddenRows
{
    /// <summary>The rows of <paramref name="tokens"/> as a value [1, tokens, width].</summary>
    /// <param name="hidden">What the body gave, [windows, length, width], in float32 or float16.</param>
    /// <param name="tokens">The tokens: places in the first two dimensions taken as one.</param>
    public static OrtValue Of(OrtValue hidden, ReadOnlySpan<int> tokens)
    {
        OrtTensorTypeAndShapeInfo info = hidden.GetTensorTypeAndShape();
        long width = info.Shape[^1];
        var picked = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, info.ElementDataType, [1, tokens.Length, width]);
        Span<byte> source = hidden.GetTensorMutableRawData();
        Span<byte> target = picked.GetTensorMutableRawData();
        int bytes = target.Length / tokens.Length;
        for (int i = 0; i < tokens.Length; i++)
        {
            source.Slice(tokens[i] * bytes, bytes).CopyTo(target[(i * bytes)..]);
        }

        return picked;
    }
}
