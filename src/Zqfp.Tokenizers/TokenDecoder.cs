using System.Buffers;
using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>Joins the bytes each token stands for and reads them as UTF-8.</summary>
/// <param name="bytes">Bytes by id; null where the vocabulary has a hole.</param>
/// <param name="leadingSpaces">How many spaces at the very beginning were put there by encoding and are taken off.</param>
internal sealed class TokenDecoder(byte[]?[] bytes, int leadingSpaces)
{
    public string Decode(IEnumerable<int> ids)
    {
        var joined = new ArrayBufferWriter<byte>();
        foreach (int id in ids)
        {
            if ((uint)id >= (uint)bytes.Length)
            {
                throw new ArgumentOutOfRangeException(nameof(ids), id, $"A token id is outside the vocabulary of {bytes.Length}.");
            }

            joined.Write(bytes[id]);
        }

        ReadOnlySpan<byte> text = joined.WrittenSpan;
        for (int taken = 0; taken < leadingSpaces && text.StartsWith(" "u8); taken++)
        {
            text = text[1..];
        }

        return Encoding.UTF8.GetString(text);
    }
}
