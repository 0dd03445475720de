namespace Zqfp.Tokenizers;

/// <summary>A stretch of a text: the characters [Start, Start + Length) of <paramref name="Text"/>.</summary>
/// <param name="Text">The string the stretch lies in.</param>
/// <param name="Start">Index of the first character.</param>
/// <param name="Length">Number of characters.</param>
/// <param name="First">Whether the stretch begins the whole text: some schemes put a space before that one alone.</param>
internal readonly record struct Piece(string Text, int Start, int Length, bool First = false)
{
    public ReadOnlySpan<char> Span => Text.AsSpan(Start, Length);

    /// <summary>The part between two indices of <see cref="Text"/>.</summary>
    public Piece Slice(int start, int end) => new(Text, start, end - start, First && start == Start);

    public override string ToString() => Text.Substring(Start, Length);
}

/// <summary>Takes the pieces a pre-tokenizer makes, in order.</summary>
internal interface IPieceSink
{
    void Accept(Piece piece);
}

/// <summary>Cuts a piece into the words that subwords never cross. Immutable; pieces flow through without being collected.</summary>
internal abstract class PreTokenizer
{
    /// <summary>Hands the parts of a non-empty piece to the sink. Empty parts are never handed on.</summary>
    public abstract void Split(Piece piece, IPieceSink sink);
}

/// <summary>Pre-tokenizers one after another, each working on the pieces of the one before.</summary>
internal sealed class SequencePreTokenizer(IReadOnlyList<PreTokenizer> stages) : PreTokenizer
{
    public override void Split(Piece piece, IPieceSink sink)
    {
        IPieceSink target = sink;
        for (int stage = stages.Count - 1; stage > 0; stage--)
        {
            target = new Relay(stages[stage], target);
        }

        stages[0].Split(piece, target);
    }

    private sealed class Relay(PreTokenizer stage, IPieceSink next) : IPieceSink
    {
        public void Accept(Piece piece) => stage.Split(piece, next);
    }
}
