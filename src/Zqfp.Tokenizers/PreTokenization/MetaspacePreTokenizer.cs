namespace Zqfp.Tokenizers;

/// <summary>Where a space mark is put before the text.</summary>
internal enum PrependScheme
{
    /// <summary>Before every section between added tokens.</summary>
    Always,

    /// <summary>Before the beginning of the text alone.</summary>
    First,

    /// <summary>Nowhere.</summary>
    Never,
}

/// <summary><c>Metaspace</c>: spaces become a mark, one is put in front, and words begin at marks.</summary>
internal sealed class MetaspacePreTokenizer(char mark, PrependScheme prepend, bool cuts) : PreTokenizer
{
    /// <summary>Whether words begin at each mark.</summary>
    public bool Cuts => cuts;

    public override void Split(Piece piece, IPieceSink sink)
    {
        string marked = piece.ToString().Replace(' ', mark);
        bool prepends = prepend == PrependScheme.Always || (prepend == PrependScheme.First && piece.First);
        if (prepends && marked[0] != mark)
        {
            marked = mark + marked;
        }

        int start = 0;
        while (cuts && marked.IndexOf(mark, start + 1) is >= 0 and int next)
        {
            sink.Accept(new Piece(marked, start, next - start));
            start = next;
        }

        sink.Accept(new Piece(marked, start, marked.Length - start));
    }
}

/// <summary>Begins a word at each run of space marks (U+2581).</summary>
internal sealed class SpaceMarkScanner : WordScanner
{
    public override int EndOfWord(ReadOnlySpan<char> text, int start)
    {
        int body = text[start..].IndexOfAnyExcept('\u2581');
        int next = body < 0 ? -1 : text[(start + body)..].IndexOf('\u2581');
        return next < 0 ? text.Length : start + body + next;
    }
}
