using System.Runtime.InteropServices;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The quantized weights of all experts of one product, which are alike but for their numbers: they are written as one constant each of
/// codes, scales and factors, whose first dimension counts the experts.
/// </summary>
internal sealed class ExpertTensors
{
    private readonly QuantizedLayerTensors[] _experts;

    /// <summary>Puts experts together.</summary>
    /// <param name="experts">All experts of one product, in any order.</param>
    /// <exception cref="ZqfpException">ZQFP1040: some are missing, or are quantized in another way than the others.</exception>
    public ExpertTensors(IEnumerable<QuantizedLayerTensors> experts)
    {
        _experts = [.. experts.OrderBy(expert => expert.Layer.Expert!.Number)];
        QuantizedLayerTensors first = _experts[0];
        ExpertPlace place = first.Layer.Expert!;
        if (_experts.Length != place.Count || _experts.Any(expert => !IsAlike(expert, first)))
        {
            throw new ZqfpException("ZQFP1040",
                $"The experts of '{place.Group}' are one constant and are quantized alike or not at all: {_experts.Length} of "
                + $"{place.Count} were to be quantized like '{first.Layer.DisplayName}'. Use a pattern that matches all of them, such as "
                + $"'{place.Group}/experts.*'.");
        }

        All = first with
        {
            Layer = first.Layer with
            {
                Name = place.Group,
                SharesWeightOf = GroupOf(first.Layer.SharesWeightOf),
                JoinedTo = GroupOf(first.Layer.JoinedTo),
            },
            Codes = default,
            Scales = default,
        };
    }

    /// <summary>What the experts have in common, under their product's name; it has no numbers.</summary>
    public QuantizedLayerTensors All { get; }

    /// <summary>The experts, in order.</summary>
    public IReadOnlyList<QuantizedLayerTensors> Experts => _experts;

    /// <summary>The value that tells each row's expert.</summary>
    public string Index => All.Layer.Expert!.Index;

    /// <summary>The codes [E, N, K], in a 4-bit type two a byte and not padded.</summary>
    public TensorData Codes(DataType type)
    {
        long count = (long)All.Layer.OutFeatures * All.Layer.InFeatures;
        long[] dims = [Count, All.Layer.OutFeatures, All.Layer.InFeatures];
        return All.CodesType == WeightCodes.Fp4E2M1 && count % 2 != 0
            ? new TensorData(type, dims, Nibbles(count))
            : Join(type, dims, expert => expert.Codes, _experts[0].Codes.Length);
    }

    /// <summary>The exponents [E, N, groups]; only where there are some.</summary>
    public TensorData Exponents(long groups) => Join(DataType.Uint8, [Count, All.Layer.OutFeatures, groups],
        expert => expert.Exponents!.Value, _experts[0].Exponents!.Value.Length);

    /// <summary>S [E, N] beside exponents, else the scales [E, N, groups].</summary>
    public TensorData Scales(long groups) => Join(DataType.Float,
        All.Exponents is null ? [Count, All.Layer.OutFeatures, groups] : [Count, All.Layer.OutFeatures],
        expert => Bytes(expert.Scales), _experts[0].Scales.Length * (long)sizeof(float));

    /// <summary>The first low-rank factors [E, r, K].</summary>
    public TensorData Down() => Join(DataType.Float16, [Count, All.Rank, All.Layer.InFeatures],
        expert => Bytes(expert.Down), 2L * _experts[0].Down.Length);

    /// <summary>The second low-rank factors [E, N, r].</summary>
    public TensorData Up() => Join(DataType.Float16, [Count, All.Layer.OutFeatures, All.Rank],
        expert => Bytes(expert.Up), 2L * _experts[0].Up.Length);

    /// <summary>What one expert after another makes of its numbers, as many bytes of each.</summary>
    /// <param name="type">Element type.</param>
    /// <param name="dims">Shape of all.</param>
    /// <param name="part">The bytes of one expert; asked for when they are read, and not kept.</param>
    /// <param name="length">How many of them there are.</param>
    public TensorData Join(DataType type, long[] dims, Func<QuantizedLayerTensors, ReadOnlyMemory<byte>> part, long length) =>
        new(type, dims, length * _experts.Length, (offset, count) =>
        {
            (long expert, long start) = length == 0 ? (0, 0) : Math.DivRem(offset, length);
            if (count > 0 && start + count <= length)
            {
                return part(_experts[expert]).Slice((int)start, count);
            }

            byte[] bytes = new byte[count];
            for (int done = 0; done < count; expert++, start = 0)
            {
                int some = (int)Math.Min(count - done, length - start);
                ReadOnlyMemory<byte> piece = part(_experts[expert]).Slice((int)start, some);
                Span<byte> target = bytes.AsSpan(done, some);

                // Past the mapping, whose pages would count as memory of this process beside the copy.
                if (!MappedFile.TryRead(piece, target))
                {
                    piece.Span.CopyTo(target);
                }

                done += some;
            }

            return bytes;
        });

    private long Count => _experts.Length;

    private static bool IsAlike(QuantizedLayerTensors one, QuantizedLayerTensors other) =>
        (one.CodesType, one.GroupSize, one.Exponents is null, one.Rank, one.Activations, one.Rotation, GroupOf(one.Layer.JoinedTo))
            == (other.CodesType, other.GroupSize, other.Exponents is null, other.Rank, other.Activations, other.Rotation,
                GroupOf(other.Layer.JoinedTo));

    /// <summary>The product whose expert has a name; null for none.</summary>
    internal static string? GroupOf(string? expert) =>
        expert?.LastIndexOf("/experts.", StringComparison.Ordinal) is { } end and >= 0 ? expert[..end] : expert;

    private static byte[] Bytes<T>(ReadOnlyMemory<T> values)
        where T : unmanaged => MemoryMarshal.AsBytes(values.Span).ToArray();

    /// <summary>Codes of matrices with an odd number of them: every other matrix begins in the middle of a byte.</summary>
    private byte[] Nibbles(long count)
    {
        byte[] all = new byte[((count * _experts.Length) + 1) / 2];
        long place = 0;
        foreach (QuantizedLayerTensors expert in _experts)
        {
            ReadOnlySpan<byte> codes = expert.Codes.Span;
            for (long i = 0; i < count; i++, place++)
            {
                int code = (codes[(int)(i / 2)] >> (int)(4 * (i % 2))) & 15;
                all[place / 2] |= (byte)(code << (int)(4 * (place % 2)));
            }
        }

        return all;
    }
}
