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
internal sealed class MetaspaceSplitter(char mark, PrependScheme prepend, bool cuts) : WordSplitter
{
    /// <summary>Whether words begin at each mark.</summary>
    public bool Cuts => cuts;

    public override void Split(Piece piece, IPieceSink sink)
    {
        string marked = piece.ToString().Replace(' ', mark);
        bool prepends = (prepend == PrependScheme.Always || (prepend == PrependScheme.First && piece.First)) && marked[0] != mark;
        Piece whole = prepends ? piece.Rewritten(mark + marked, prefix: 1) : piece.Rewritten(marked, prefix: 0);
        int start = 0;
        while (cuts && whole.Text.IndexOf(mark, start + 1) is >= 0 and int next)
        {
            sink.Accept(whole.Slice(start, next));
            start = next;
        }

        sink.Accept(whole.Slice(start, whole.Length));
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
