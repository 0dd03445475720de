using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>Byte-pair encoding that starts from the bytes of the word's UTF-8 (GPT-2, OPT, LLaMA-3, Qwen).</summary>
/// <param name="byteIds">Id of each of the 256 bytes; negative where the vocabulary lacks it.</param>
/// <param name="lastByteIds">Id of each byte where it ends a word: another one in vocabularies with an end-of-word suffix (CLIP).</param>
/// <param name="merges">The merges.</param>
/// <param name="unknownId">What a byte outside the vocabulary becomes; null drops it.</param>
/// <param name="wholeWords">Vocabulary by spelling, where a word that it holds is taken whole (<c>ignore_merges</c>); else null.</param>
internal sealed class ByteLevelBpeModel(
    int[] byteIds,
    int[] lastByteIds,
    MergeTable merges,
    int? unknownId,
    Dictionary<string, int>? wholeWords) : ISubwordModel
{
    public SubwordWorker CreateWorker() => new Worker(this, byteIds, lastByteIds, merges, unknownId);

    private bool TryWholeWord(ReadOnlySpan<byte> bytes, out int id)
    {
        const int LongestOnStack = 512;
        id = 0;
        if (wholeWords is null || bytes.Length > LongestOnStack)
        {
            return false;
        }

        Span<char> spelling = stackalloc char[bytes.Length];
        for (int i = 0; i < bytes.Length; i++)
        {
            spelling[i] = ByteAlphabet.Spell(bytes[i]);
        }

        return wholeWords.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(spelling, out id);
    }

    private sealed class Worker(ByteLevelBpeModel model, int[] byteIds, int[] lastByteIds, MergeTable merges, int? unknownId)
        : SubwordWorker
    {
        private readonly PairMerger _merger = new(merges);
        private byte[] _bytes = new byte[256];
        private int[] _symbols = new int[256];
        private int[] _widths = [];
        private (int Start, int End)[] _stretches = [];

        public override void Encode(ReadOnlySpan<char> word, List<int> ids)
        {
            ReadOnlySpan<byte> bytes = ReadBytes(word);
            if (model.TryWholeWord(bytes, out int whole))
            {
                ids.Add(whole);
                return;
            }

            int count = 0;
            foreach (byte value in bytes[..^1])
            {
                if (byteIds[value] >= 0 || unknownId is not null)
                {
                    _symbols[count++] = byteIds[value];
                }
            }

            if (lastByteIds[bytes[^1]] >= 0 || unknownId is not null)
            {
                _symbols[count++] = lastByteIds[bytes[^1]];
            }

            count = _merger.Merge(_symbols.AsSpan(0, count));
            foreach (int symbol in _symbols.AsSpan(0, count))
            {
                ids.Add(symbol >= 0 ? symbol : unknownId!.Value);
            }
        }

        public override void Encode(ReadOnlySpan<char> word, List<WordToken> tokens)
        {
            ReadOnlySpan<byte> bytes = ReadBytes(word);
            if (model.TryWholeWord(bytes, out int whole))
            {
                tokens.Add(new WordToken(whole, 0, word.Length));
                return;
            }

            int count = WriteStretches(word, bytes);
            count = _merger.Merge(_symbols.AsSpan(0, count), _widths.AsSpan(0, count));
            WordToken.MergeStretches(_stretches, _widths.AsSpan(0, count));
            for (int i = 0; i < count; i++)
            {
                tokens.Add(new WordToken(_symbols[i] >= 0 ? _symbols[i] : unknownId!.Value, _stretches[i].Start, _stretches[i].End));
            }
        }

        /// <summary>The word's UTF-8, in which a surrogate that stands alone becomes U+FFFD.</summary>
        private Span<byte> ReadBytes(ReadOnlySpan<char> word)
        {
            if (_bytes.Length < Encoding.UTF8.GetMaxByteCount(word.Length))
            {
                _bytes = new byte[Encoding.UTF8.GetMaxByteCount(word.Length)];
                _symbols = new int[_bytes.Length];
            }

            return _bytes.AsSpan(0, Encoding.UTF8.GetBytes(word, _bytes));
        }

        /// <summary>Writes the first symbols, each with the character that its byte is part of; returns how many.</summary>
        private int WriteStretches(ReadOnlySpan<char> word, ReadOnlySpan<byte> bytes)
        {
            if (_stretches.Length < bytes.Length)
            {
                _stretches = new (int Start, int End)[bytes.Length];
                _widths = new int[bytes.Length];
            }

            int count = 0;
            int read = 0;
            int units;
            for (int start = 0; start < word.Length; start += units)
            {
                Rune.DecodeFromUtf16(word[start..], out Rune rune, out units);
                for (int end = read + rune.Utf8SequenceLength; read < end; read++)
                {
                    int id = (read == bytes.Length - 1 ? lastByteIds : byteIds)[bytes[read]];
                    if (id >= 0 || unknownId is not null)
                    {
                        _stretches[count] = (start, start + units);
                        _symbols[count++] = id;
                    }
                }
            }

            return count;
        }
    }
}
