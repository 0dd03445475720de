using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.Evaluation;

/// <summary>The logits of some tokens of a batch, in float32, float16 or float64. Valid until the model gives the next ones.</summary>
/// <param name="value">Rows of logits, which stay the caller's.</param>
/// <param name="tokens">The tokens: their places in <see cref="TokenBatch.Ids"/>.</param>
/// <param name="areRows">Whether the rows are those of <paramref name="tokens"/>; else every token of the batch has one.</param>
internal sealed class LogitRows(OrtValue value, ArraySegment<int> tokens, bool areRows)
{
    private readonly TensorElementType _type = value.GetTensorTypeAndShape().ElementDataType;

    /// <summary>Whether logits of this type can be read.</summary>
    public static bool CanRead(TensorElementType type) =>
        type is TensorElementType.Float or TensorElementType.Float16 or TensorElementType.Double;

    /// <summary>
    /// Whether logits of this shape are those of every token of a batch: [windows, length, vocabulary], or the tokens of all windows one
    /// behind another. Windows may be there again.
    /// </summary>
    public static bool Cover(IReadOnlyList<long> shape, TokenBatch batch) => shape switch
    {
        [var windows, var length, _] => windows >= batch.Windows && length == batch.Length,
        [var tokens, _] => tokens >= (long)batch.Windows * batch.Length && tokens % batch.Length == 0,
        _ => false,
    };

    /// <summary>What is wrong with logits that do not <see cref="Cover"/> a batch.</summary>
    public static string Refuse(IReadOnlyList<long> shape, TokenBatch batch)
    {
        string why = shape is [_, _] or [_, 1, _]
            ? "perplexity needs the logits of every token. Export it without pruning the head to the last token."
            : "they have to be [batch, sequence, vocabulary], one row for every token. Export it in that shape.";
        return $"The model gives logits of shape [{string.Join(", ", shape)}] for ids [{batch.Windows}, {batch.Length}]: {why}";
    }

    /// <summary>The tokens: their places in <see cref="TokenBatch.Ids"/>.</summary>
    public ReadOnlySpan<int> Tokens => tokens;

    /// <summary>Number of tokens.</summary>
    public int Count => tokens.Count;

    /// <summary>Logits of one token.</summary>
    public int Vocabulary { get; } = checked((int)value.GetTensorTypeAndShape().Shape[^1]);

    /// <summary>The logits of one token. Any number of threads may ask at once, each with a buffer of its own.</summary>
    /// <param name="index">The token, by its place in <see cref="Tokens"/>.</param>
    /// <param name="buffer">Room for a row, used where the logits are not float32.</param>
    public ReadOnlySpan<float> Row(int index, Span<float> buffer)
    {
        int start = (areRows ? index : tokens[index]) * Vocabulary;
        Span<byte> bytes = value.GetTensorMutableRawData();
        switch (_type)
        {
            case TensorElementType.Float16:
                TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(bytes).Slice(start, Vocabulary), buffer);
                break;
            case TensorElementType.Double:
                TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, double>(bytes).Slice(start, Vocabulary), buffer[..Vocabulary]);
                break;
            default:
                return MemoryMarshal.Cast<byte, float>(bytes).Slice(start, Vocabulary);
        }

        return buffer[..Vocabulary];
    }

    /// <summary>The loss of each token that another one follows in <paramref name="batch"/>, in nats.</summary>
    public double[] Losses(TokenBatch batch, int threads) => Measure(
        threads, (i, buffers) => TokenLoss.Of(Row(i, buffers.First), batch.Ids[tokens[i] + 1], buffers.Scratch));

    /// <summary>How far another model's logits of the same tokens are from these, token by token.</summary>
    public LogitDifference[] Differences(LogitRows other, int threads) => Measure(threads, (i, buffers) => LogitDifference.OfRow(
        Row(i, buffers.First), other.Row(i, buffers.Second), buffers.Difference, buffers.Scratch));

    /// <summary>Computes something of each row, on as many threads as allowed; each result is of one row alone.</summary>
    /// <param name="threads">Threads used at most; 0 for one a processor.</param>
    /// <param name="measure">Is given the row's index and buffers that are its alone meanwhile.</param>
    public T[] Measure<T>(int threads, Func<int, RowBuffers, T> measure)
    {
        T[] results = new T[Count];
        Parallel.For(0, Count, new ParallelOptions { MaxDegreeOfParallelism = threads > 0 ? threads : -1 },
            () => new RowBuffers(Vocabulary),
            (i, _, buffers) =>
            {
                results[i] = measure(i, buffers);
                return buffers;
            },
            _ => { });
        return results;
    }
}

/// <summary>Room for rows of logits.</summary>
/// <param name="vocabulary">Length of a row.</param>
internal sealed class RowBuffers(int vocabulary)
{
    public float[] First { get; } = new float[vocabulary];

    public float[] Second { get; } = new float[vocabulary];

    public float[] Difference { get; } = new float[vocabulary];

    public float[] Scratch { get; } = new float[vocabulary];
}
