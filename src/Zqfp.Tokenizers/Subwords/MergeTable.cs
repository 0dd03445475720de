using System.Numerics;

namespace Zqfp.Tokenizers;

/// <summary>One rule of byte-pair encoding: two neighbours become one symbol, the lower ranks first.</summary>
internal readonly record struct Merge(int Left, int Right, int Rank, int Result);

/// <summary>
/// The merges by their pair of symbols: open addressing with linear probing, at most half full. A lookup answers rank and
/// result in one number, so that comparing answers compares ranks.
/// </summary>
internal sealed class MergeTable
{
    /// <summary>What a pair without a merge answers: greater than every merge.</summary>
    public const ulong None = ulong.MaxValue;

    private readonly Slot[] _slots;
    private readonly int _shift;

    /// <param name="merges">Where a pair occurs twice, the later merge counts, as in the reference implementation.</param>
    public MergeTable(IReadOnlyCollection<Merge> merges)
    {
        int bits = Math.Max(4, BitOperations.Log2((uint)Math.Max(1, merges.Count)) + 2);
        _shift = 64 - bits;
        _slots = new Slot[1 << bits];
        Array.Fill(_slots, new Slot(ulong.MaxValue, None));
        foreach (Merge merge in merges)
        {
            _slots[Find(Key(merge.Left, merge.Right))] = new Slot(
                Key(merge.Left, merge.Right), ((ulong)merge.Rank << 32) | (uint)merge.Result);
        }
    }

    /// <summary>Rank in the upper, result in the lower 32 bits; <see cref="None"/> where the pair does not merge.</summary>
    public ulong Lookup(int left, int right) => _slots[Find(Key(left, right))].Answer;

    /// <summary>The symbol a merge answers.</summary>
    public static int Result(ulong answer) => (int)(uint)answer;

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private int Find(ulong key)
    {
        int mask = _slots.Length - 1;
        int index = (int)((key * 0x9E3779B97F4A7C15) >> _shift);
        while (_slots[index].Key != key && _slots[index].Answer != None)
        {
            index = (index + 1) & mask;
        }

        return index;
    }

    private readonly record struct Slot(ulong Key, ulong Answer);
}
