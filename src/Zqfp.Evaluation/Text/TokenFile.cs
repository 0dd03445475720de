using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Zqfp.Tokenizers;

namespace Zqfp.Evaluation;

/// <summary>Reads pre-tokenized files.</summary>
internal static partial class TokenFile
{
    /// <summary>Unsigned 16-bit little-endian integers.</summary>
    /// <exception cref="ZqfpException">ZQFP0111.</exception>
    public static int[] ReadInt16(ReadOnlySpan<byte> content, string file)
    {
        RequireWhole(content, 2, file);
        return Widen(content, 2, static bytes => BinaryPrimitives.ReadUInt16LittleEndian(bytes), file);
    }

    /// <summary>Non-negative 32-bit little-endian integers.</summary>
    /// <exception cref="ZqfpException">ZQFP0111.</exception>
    public static int[] ReadInt32(ReadOnlySpan<byte> content, string file)
    {
        RequireWhole(content, 4, file);
        return Widen(content, 4, static bytes => BinaryPrimitives.ReadInt32LittleEndian(bytes), file);
    }

    /// <summary>A NumPy array of little-endian integers in row order.</summary>
    /// <exception cref="ZqfpException">ZQFP0111.</exception>
    public static int[] ReadNpy(ReadOnlySpan<byte> content, string file)
    {
        (string header, int bodyStart) = ReadNpyHeader(content, file);
        Match type = NpyType().Match(header);
        Match shape = NpyShape().Match(header);
        if (!type.Success || !shape.Success)
        {
            throw Broken(file, $"its NumPy header is not understood: {header.Trim()}");
        }

        long[] dimensions = [.. shape.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(dimension => long.TryParse(dimension, CultureInfo.InvariantCulture, out long size) ? size : -1)];
        if (header.Contains("'fortran_order': True", StringComparison.Ordinal) && dimensions.Length > 1)
        {
            throw Broken(file, "its array is stored by columns (fortran_order); save it with numpy.ascontiguousarray");
        }

        string name = type.Groups[1].Value;
        ReadOnlySpan<byte> body = content[bodyStart..];
        int[] ids = name switch
        {
            "|u1" => Widen(body, 1, static bytes => bytes[0], file),
            "<u2" => Widen(body, 2, static bytes => BinaryPrimitives.ReadUInt16LittleEndian(bytes), file),
            "<i2" => Widen(body, 2, static bytes => BinaryPrimitives.ReadInt16LittleEndian(bytes), file),
            "<u4" => Widen(body, 4, static bytes => BinaryPrimitives.ReadUInt32LittleEndian(bytes), file),
            "<i4" => Widen(body, 4, static bytes => BinaryPrimitives.ReadInt32LittleEndian(bytes), file),
            "<i8" or "<u8" => Widen(body, 8, static bytes => BinaryPrimitives.ReadInt64LittleEndian(bytes), file),
            _ => throw Broken(file, $"its elements are of type '{name}'; ids must be little-endian integers (u1, u2, i2, u4, i4, i8)"),
        };
        double declared = dimensions.Aggregate(1.0, (product, dimension) => product * dimension);
        return declared == ids.Length ? ids : throw Broken(file, $"its header declares {declared} elements, but {ids.Length} are there");
    }

    private static (string Header, int BodyStart) ReadNpyHeader(ReadOnlySpan<byte> content, string file)
    {
        if (content.Length < 12 || content[0] != 0x93 || !content[1..].StartsWith("NUMPY"u8))
        {
            throw Broken(file, "it does not begin as a NumPy array does");
        }

        bool first = content[6] == 1;
        int headerStart = first ? 10 : 12;
        uint length = first ? BinaryPrimitives.ReadUInt16LittleEndian(content[8..]) : BinaryPrimitives.ReadUInt32LittleEndian(content[8..]);
        return length <= content.Length - headerStart
            ? (Encoding.Latin1.GetString(content.Slice(headerStart, (int)length)), headerStart + (int)length)
            : throw Broken(file, "it ends within its NumPy header");
    }

    private static void RequireWhole(ReadOnlySpan<byte> content, int size, string file)
    {
        if (content.Length % size != 0)
        {
            throw Broken(file, $"its {content.Length} bytes are no whole number of {8 * size}-bit integers");
        }
    }

    private static int[] Widen(ReadOnlySpan<byte> content, int size, Func<ReadOnlySpan<byte>, long> read, string file)
    {
        var ids = new int[content.Length / size];
        for (int i = 0; i < ids.Length; i++)
        {
            long id = read(content.Slice(i * size, size));
            if (id is < 0 or > int.MaxValue)
            {
                throw Broken(file, $"the id at position {i} is {id}");
            }

            ids[i] = (int)id;
        }

        return ids;
    }

    private static ZqfpException Broken(string file, string what) =>
        new ZqfpException(
            TextCodes.TokenFileInvalid, $"The token file '{file}' cannot be used: {what}. Check its format (16-bit, 32-bit, NumPy).", file);

    [GeneratedRegex(@"'descr':\s*'([^']*)'")]
    private static partial Regex NpyType();

    [GeneratedRegex(@"'shape':\s*\(([\d,\s]*)\)")]
    private static partial Regex NpyShape();
}
