namespace Zqfp.Tokenizers;

/// <summary>
/// <c>ByteLevel</c> with <c>add_prefix_space</c>: a space before each piece that does not begin with one, then the words.
/// The spelling of bytes as printable characters is left to the model, which works on the bytes themselves.
/// </summary>
/// <param name="words">Cuts the spaced piece into words; null where it stays whole (<c>use_regex: false</c>).</param>
internal sealed class PrefixSpaceSplitter(WordSplitter? words) : WordSplitter
{
    public override void Split(Piece piece, IPieceSink sink)
    {
        if (piece.Span[0] != ' ')
        {
            piece = piece.Rewritten(string.Concat(" ", piece.Span), prefix: 1);
        }

        if (words is null)
        {
            sink.Accept(piece);
        }
        else
        {
            words.Split(piece, sink);
        }
    }
}
