namespace Zqfp.Tokenizers;

/// <summary>Cuts words into subwords. Immutable; the work happens in a <see cref="SubwordWorker"/>.</summary>
internal interface ISubwordModel
{
    /// <summary>A worker with buffers of its own, for one caller at a time.</summary>
    SubwordWorker CreateWorker();
}

/// <summary>Encodes one word after another, reusing its buffers.</summary>
internal abstract class SubwordWorker
{
    /// <summary>Appends the ids of a non-empty word.</summary>
    public abstract void Encode(ReadOnlySpan<char> word, List<int> ids);

    /// <summary>Appends the same ids with the stretch of the word that each covers.</summary>
    public abstract void Encode(ReadOnlySpan<char> word, List<WordToken> tokens);
}

/// <summary>
/// A token of a word and the UTF-16 units [Start, End) it stands for. Of a character that is spelled by several tokens each covers
/// all of it, so that their stretches overlap.
/// </summary>
internal readonly record struct WordToken(int Id, int Start, int End)
{
    /// <summary>Gives the stretches that neighbours cover together.</summary>
    /// <param name="initial">The stretch of each first symbol; the merged ones are left at the front.</param>
    /// <param name="widths">How many first symbols each merged one is made of.</param>
    public static void MergeStretches(Span<(int Start, int End)> initial, ReadOnlySpan<int> widths)
    {
        int first = 0;
        for (int i = 0; i < widths.Length; i++)
        {
            initial[i] = (initial[first].Start, initial[first + widths[i] - 1].End);
            first += widths[i];
        }
    }
}
