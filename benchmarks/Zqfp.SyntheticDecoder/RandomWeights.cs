using System.Globalization;
using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.SyntheticDecoder;

/// <summary>A data file of normally distributed float16 weights, and the tensors that lie in it.</summary>
internal sealed class RandomWeights : IDisposable
{
    private const int Block = 1 << 20;
    private const int Alignment = 4096;

    private readonly FileStream _file;
    private readonly string _location;
    private readonly bool _isHollow;
    private readonly Random _random = new(7);
    private readonly Dictionary<string, long> _offsets = [];

    /// <summary>Creates the file.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="isHollow">Whether it has the weights' length alone: zeros, which take no disk where files may have holes.</param>
    public RandomWeights(string path, bool isHollow = false)
    {
        _isHollow = isHollow;
        _file = File.Create(path);
        _location = Path.GetFileName(path);
    }

    /// <summary>A tensor of standard deviation 1 / sqrt(rows), which keeps the size of what passes through it.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="stored">What its bytes are called; those written under that name before are used again.</param>
    /// <param name="dims">Its shape.</param>
    public TensorProto Tensor(string name, string stored, params long[] dims)
    {
        long count = dims.Aggregate(1L, (product, dim) => product * dim);
        if (!_offsets.TryGetValue(stored, out long offset))
        {
            _offsets.Add(stored, offset = Write(count, 1 / Math.Sqrt(dims[0])));
        }

        return new TensorProto
        {
            Name = name,
            DataType = (int)DataType.Float16,
            Dims = { dims },
            DataLocation = DataLocation.External,
            ExternalData = { Entry("location", _location), Entry("offset", Text(offset)), Entry("length", Text(2 * count)) },
        };
    }

    public void Dispose() => _file.Dispose();

    private long Write(long count, double scale)
    {
        long offset = (_file.Position + Alignment - 1) / Alignment * Alignment;
        _file.Position = offset;
        if (_isHollow)
        {
            _file.SetLength(offset + (2 * count));
            _file.Position = _file.Length;
            return offset;
        }

        // A table of random numbers, read from random places: as fast as the disk, and no two rows alike.
        Half[] table = [.. Enumerable.Range(0, 2 * Block).Select(_ => (Half)(scale * Normal()))];
        for (long done = 0; done < count; done += Block)
        {
            int length = (int)Math.Min(Block, count - done);
            _file.Write(MemoryMarshal.AsBytes(table.AsSpan(_random.Next(Block), length)));
        }

        return offset;
    }

    /// <summary>A normal number, by Box and Muller.</summary>
    private double Normal() => Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static StringStringEntryProto Entry(string key, string value) => new() { Key = key, Value = value };
}
