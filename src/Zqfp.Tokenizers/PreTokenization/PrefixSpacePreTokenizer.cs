namespace Zqfp.Tokenizers;

/// <summary>
/// <c>ByteLevel</c> with <c>add_prefix_space</c>: a space before each piece that does not begin with one, then the words.
/// The spelling of bytes as printable characters is left to the model, which works on the bytes themselves.
/// </summary>
/// <param name="words">Cuts the spaced piece into words; null where it stays whole (<c>use_regex: false</c>).</param>
internal sealed class PrefixSpacePreTokenizer(PreTokenizer? words) : PreTokenizer
{
    public override void Split(Piece piece, IPieceSink sink)
    {
        if (piece.Span[0] != ' ')
        {
            string spaced = string.Concat(" ", piece.Span);
            piece = new Piece(spaced, 0, spaced.Length, piece.First);
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
