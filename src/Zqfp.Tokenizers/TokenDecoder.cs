using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Zqfp.Tokenizers;

/// <summary>Joins the bytes each token stands for and reads them as UTF-8.</summary>
/// <param name="bytes">Bytes by id; null where the vocabulary has a hole.</param>
/// <param name="leadingSpaces">How many spaces at the very beginning were put there by encoding and are taken off.</param>
/// <param name="firstBytes">
/// Bytes by id of the token that comes first, where these differ (WordPiece puts spaces before words); else null.
/// </param>
internal sealed class TokenDecoder(byte[]?[] bytes, int leadingSpaces, byte[]?[]? firstBytes = null)
{
    private readonly byte[]?[] _firstBytes = firstBytes ?? bytes;

    /// <summary>The text of the ids. Bytes that do not form UTF-8 come back as U+FFFD.</summary>
    public string Decode(IEnumerable<int> ids)
    {
        var joined = new ArrayBufferWriter<byte>();
        bool first = true;
        foreach (int id in ids)
        {
            if ((uint)id >= (uint)bytes.Length)
            {
                throw new ArgumentOutOfRangeException(nameof(ids), id, $"A token id is outside the vocabulary of {bytes.Length}.");
            }

            joined.Write((first ? _firstBytes : bytes)[id]);
            first = false;
        }

        ReadOnlySpan<byte> text = joined.WrittenSpan;
        return Encoding.UTF8.GetString(text[LeadingSpaces(text, leadingSpaces)..]);
    }

    /// <summary>
    /// Writes the same text into a span. Where that is too small, or an id is unknown, the counts stand at the last place where no
    /// character was cut.
    /// </summary>
    public OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        idsConsumed = 0;
        charsWritten = 0;
        int read = 0;
        int written = 0;
        int spaces = leadingSpaces;
        var pending = new ArrayBufferWriter<byte>();
        foreach (int id in ids)
        {
            if ((uint)id >= (uint)bytes.Length)
            {
                return OperationStatus.InvalidData;
            }

            ReadOnlySpan<byte> added = (read == 0 ? _firstBytes : bytes)[id];
            int skipped = LeadingSpaces(added, spaces);
            spaces = skipped == added.Length ? spaces - skipped : 0;
            pending.Write(added[skipped..]);
            read++;
            OperationStatus status =
                Utf8.ToUtf16(pending.WrittenSpan, destination[written..], out int taken, out int made, isFinalBlock: false);
            if (status == OperationStatus.DestinationTooSmall)
            {
                return status;
            }

            written += made;
            byte[] rest = pending.WrittenSpan[taken..].ToArray();
            pending.ResetWrittenCount();
            pending.Write(rest);
            if (rest.Length == 0)
            {
                (idsConsumed, charsWritten) = (read, written);
            }
        }

        if (Utf8.ToUtf16(pending.WrittenSpan, destination[written..], out _, out int last) == OperationStatus.DestinationTooSmall)
        {
            return OperationStatus.DestinationTooSmall;
        }

        (idsConsumed, charsWritten) = (read, written + last);
        return OperationStatus.Done;
    }

    private static int LeadingSpaces(ReadOnlySpan<byte> text, int most)
    {
        int count = text.IndexOfAnyExcept((byte)' ');
        return Math.Min(count < 0 ? text.Length : count, most);
    }
}
