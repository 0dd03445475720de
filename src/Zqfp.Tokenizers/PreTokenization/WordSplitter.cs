using Microsoft.ML.Tokenizers;

namespace Zqfp.Tokenizers;

/// <summary>A stretch of a text: the characters [Start, Start + Length) of <paramref name="Text"/>.</summary>
/// <param name="Text">The string the stretch lies in.</param>
/// <param name="Start">Index of the first character.</param>
/// <param name="Length">Number of characters.</param>
internal readonly record struct Piece(string Text, int Start, int Length)
{
    /// <summary>Whether the stretch begins the whole text: some schemes put a space before that one alone.</summary>
    public bool First { get; init; }

    /// <summary>
    /// Where <c>Text[0]</c> lies in the normalized text, to which offsets refer. Negative where a prefix was put before it.
    /// </summary>
    public int Origin { get; init; }

    /// <summary>The least offset: a prefix that is not in the normalized text has no width there.</summary>
    public int Floor { get; init; }

    public ReadOnlySpan<char> Span => Text.AsSpan(Start, Length);

    /// <summary>The part between two indices of <see cref="Text"/>.</summary>
    public Piece Slice(int start, int end) => this with { Start = start, Length = end - start, First = First && start == Start };

    /// <summary>The piece as a stage rewrote it: a prefix, then one character for each of its own.</summary>
    public Piece Rewritten(string text, int prefix) =>
        new(text, 0, text.Length) { First = First, Origin = Origin + Start - prefix, Floor = OffsetOf(Start) };

    /// <summary>Where an index of <see cref="Text"/> lies in the normalized text.</summary>
    public int OffsetOf(int index) => Math.Max(Floor, Origin + index);

    public override string ToString() => Text.Substring(Start, Length);
}

/// <summary>Takes the pieces a pre-tokenizer makes, in order.</summary>
internal interface IPieceSink
{
    /// <summary>Ends what goes on too long.</summary>
    CancellationToken Cancellation => CancellationToken.None;

    void Accept(Piece piece);
}

/// <summary>
/// Cuts a piece into the words that subwords never cross. Immutable; pieces flow through without being collected. As a
/// <see cref="PreTokenizer"/> it gives their offsets.
/// </summary>
internal abstract class WordSplitter : PreTokenizer
{
    /// <summary>Hands the parts of a non-empty piece to the sink. Empty parts are never handed on.</summary>
    public abstract void Split(Piece piece, IPieceSink sink);

    /// <inheritdoc/>
    public sealed override IEnumerable<(int Offset, int Length)> PreTokenize(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var collector = new OffsetCollector();
        if (text.Length > 0)
        {
            Split(new Piece(text, 0, text.Length) { First = true }, collector);
        }

        return collector.Offsets;
    }

    /// <inheritdoc/>
    public sealed override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) => PreTokenize(text.ToString());

    private sealed class OffsetCollector : IPieceSink
    {
        public List<(int Offset, int Length)> Offsets { get; } = [];

        public void Accept(Piece piece)
        {
            int start = piece.OffsetOf(piece.Start);
            Offsets.Add((start, piece.OffsetOf(piece.Start + piece.Length) - start));
        }
    }
}

/// <summary>Hands what one stage makes to the next.</summary>
internal sealed class SplittingSink(WordSplitter stage, IPieceSink next) : IPieceSink
{
    public CancellationToken Cancellation => next.Cancellation;

    public void Accept(Piece piece) => stage.Split(piece, next);
}

/// <summary>Pre-tokenizers one after another, each working on the pieces of the one before.</summary>
internal sealed class SequenceSplitter(IReadOnlyList<WordSplitter> stages) : WordSplitter
{
    public override void Split(Piece piece, IPieceSink sink)
    {
        IPieceSink target = sink;
        for (int stage = stages.Count - 1; stage > 0; stage--)
        {
            target = new SplittingSink(stages[stage], target);
        }

        stages[0].Split(piece, target);
    }
}
