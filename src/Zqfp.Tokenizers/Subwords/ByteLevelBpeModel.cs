using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>Byte-pair encoding that starts from the bytes of the word's UTF-8 (GPT-2, OPT, LLaMA-3, Qwen).</summary>
/// <param name="byteIds">Id of each of the 256 bytes; negative where the vocabulary lacks it.</param>
/// <param name="merges">The merges.</param>
/// <param name="unknownId">What a byte outside the vocabulary becomes; null drops it.</param>
/// <param name="wholeWords">Vocabulary by spelling, where a word that it holds is taken whole (<c>ignore_merges</c>); else null.</param>
internal sealed class ByteLevelBpeModel(
    int[] byteIds,
    MergeTable merges,
    int? unknownId,
    Dictionary<string, int>? wholeWords) : ISubwordModel
{
    public SubwordWorker CreateWorker() => new Worker(this, byteIds, merges, unknownId);

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

    private sealed class Worker(ByteLevelBpeModel model, int[] byteIds, MergeTable merges, int? unknownId) : SubwordWorker
    {
        private readonly PairMerger _merger = new(merges);
        private byte[] _bytes = new byte[256];
        private int[] _symbols = new int[256];

        public override void Encode(ReadOnlySpan<char> word, List<int> ids)
        {
            if (_bytes.Length < Encoding.UTF8.GetMaxByteCount(word.Length))
            {
                _bytes = new byte[Encoding.UTF8.GetMaxByteCount(word.Length)];
                _symbols = new int[_bytes.Length];
            }

            // A surrogate that stands alone becomes U+FFFD here.
            ReadOnlySpan<byte> bytes = _bytes.AsSpan(0, Encoding.UTF8.GetBytes(word, _bytes));
            if (model.TryWholeWord(bytes, out int whole))
            {
                ids.Add(whole);
                return;
            }

            int count = 0;
            foreach (byte value in bytes)
            {
                if (byteIds[value] >= 0 || unknownId is not null)
                {
                    _symbols[count++] = byteIds[value];
                }
            }

            count = _merger.Merge(_symbols.AsSpan(0, count));
            foreach (int symbol in _symbols.AsSpan(0, count))
            {
                ids.Add(symbol >= 0 ? symbol : unknownId!.Value);
            }
        }
    }
}
