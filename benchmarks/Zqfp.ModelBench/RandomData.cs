using System.Globalization;
using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.ModelBench;

/// <summary>A data file of random tensors. Tensors of one stored name have the same bytes, which are written once.</summary>
internal sealed class RandomData : IDisposable
{
    private const int TableLength = 1 << 22;
    private const int Alignment = 4096;

    private readonly FileStream _file;
    private readonly string _location;
    private readonly Random _random = new(7);
    private readonly Dictionary<string, (long Offset, long Length)> _written = [];
    private readonly float[] _normal = new float[TableLength];

    public RandomData(string path)
    {
        _file = File.Create(path);
        _location = Path.GetFileName(path);
        for (int i = 0; i < TableLength; i++)
        {
            _normal[i] = (float)(Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble()));
        }
    }

    /// <summary>Normally distributed float16 numbers.</summary>
    public TensorProto Normal(string name, string stored, double deviation, params long[] dims)
    {
        if (!_written.ContainsKey(stored))
        {
            Half[] table = Array.ConvertAll(_normal, value => (Half)(deviation * value));
            Repeat(stored, MemoryMarshal.AsBytes<Half>(table), 2 * Count(dims), sizeof(ushort));
        }

        return Tensor(name, stored, DataType.Float16, dims);
    }

    /// <summary>Bytes below a limit, 256 for any; for 4-bit types two elements each.</summary>
    public TensorProto Bytes(string name, string stored, DataType type, int limit, long byteCount, params long[] dims)
    {
        if (!_written.ContainsKey(stored))
        {
            byte[] table = new byte[TableLength];
            _random.NextBytes(table);
            for (int i = 0; limit < 256 && i < table.Length; i++)
            {
                table[i] = (byte)(table[i] % limit);
            }

            Repeat(stored, table, byteCount, 1);
        }

        return Tensor(name, stored, type, dims);
    }

    /// <summary>Positive scales around a value, within a fifth of it.</summary>
    public TensorProto Scales<T>(string name, string stored, DataType type, double around, Func<double, T> round, params long[] dims)
        where T : unmanaged
    {
        if (!_written.ContainsKey(stored))
        {
            T[] values = new T[Count(dims)];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = round(around * (0.8 + (0.4 * _random.NextDouble())));
            }

            Write(stored, MemoryMarshal.AsBytes<T>(values));
        }

        return Tensor(name, stored, type, dims);
    }

    /// <summary>Given values.</summary>
    public TensorProto Values<T>(string name, DataType type, ReadOnlySpan<T> values, params long[] dims)
        where T : unmanaged
    {
        Write(name, MemoryMarshal.AsBytes(values));
        return Tensor(name, name, type, dims);
    }

    public void Dispose() => _file.Dispose();

    private static long Count(long[] dims) => dims.Aggregate(1L, (product, dim) => product * dim);

    /// <summary>Pieces of a table from random places: as fast as the disk, and no two rows alike.</summary>
    private void Repeat(string stored, ReadOnlySpan<byte> table, long byteCount, int elementBytes)
    {
        Start(stored, byteCount);
        int block = table.Length / 2;
        for (long done = 0; done < byteCount; done += block)
        {
            int start = _random.Next(block / elementBytes) * elementBytes;
            _file.Write(table.Slice(start, (int)Math.Min(block, byteCount - done)));
        }
    }

    private void Write(string stored, ReadOnlySpan<byte> bytes)
    {
        Start(stored, bytes.Length);
        _file.Write(bytes);
    }

    private void Start(string stored, long length)
    {
        _file.Position = (_file.Position + Alignment - 1) / Alignment * Alignment;
        _written.Add(stored, (_file.Position, length));
    }

    private TensorProto Tensor(string name, string stored, DataType type, long[] dims)
    {
        (long offset, long length) = _written[stored];
        return new TensorProto
        {
            Name = name,
            DataType = (int)type,
            Dims = { dims },
            DataLocation = DataLocation.External,
            ExternalData = { Entry("location", _location), Entry("offset", Text(offset)), Entry("length", Text(length)) },
        };
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static StringStringEntryProto Entry(string key, string value) => new() { Key = key, Value = value };
}
