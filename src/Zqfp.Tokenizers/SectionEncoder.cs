namespace Zqfp.Tokenizers;

/// <summary>Encodes one text: section by section between the added tokens, joining what normalization makes of them.</summary>
internal sealed class SectionEncoder
{
    private readonly SubwordEngineParts _parts;
    private readonly TextNormalizer? _normalizer;
    private readonly WordSplitter? _splitter;
    private readonly TokenSink _tokens;
    private readonly IPieceSink _words;
    private readonly List<string> _normalized = [];
    private int _normalizedLength;

    public SectionEncoder(SubwordEngineParts parts, EncodingStages stages, TokenSink tokens)
    {
        _parts = parts;
        _normalizer = stages.Normalization ? parts.Normalizer : null;
        _splitter = stages.PreTokenization ? parts.Splitter : null;
        _tokens = tokens;
        _words = parts.WordCutter is { } cutter ? new SplittingSink(cutter, tokens) : tokens;
    }

    /// <summary>What normalization made of the text; null without one.</summary>
    public string? NormalizedText => _normalizer is null ? null : _normalized.Count == 1 ? _normalized[0] : string.Concat(_normalized);

    /// <summary>Encodes a stretch between two raw added tokens; only one at the text's very beginning counts as first.</summary>
    public void Encode(string text, int start, int end)
    {
        if (start == end)
        {
            return;
        }

        bool first = start == 0;
        var section = new Piece(text, start, end - start);
        if (_normalizer is not null)
        {
            string normalized = _normalizer.Normalize(section.ToString());
            section = new Piece(normalized, 0, normalized.Length) { Origin = _normalizedLength };
            Append(normalized);
        }

        int stop = section.Start + section.Length;
        int position = section.Start;
        while (_parts.NormalizedTokens.TryFind(section.Text, position, stop, out AddedTokenMatch match))
        {
            EncodeWords(section.Slice(position, match.Start) with { First = first && position == section.Start });
            _tokens.Accept(match.Id, section.OffsetOf(match.Start), section.OffsetOf(match.End));
            position = match.End;
        }

        EncodeWords(section.Slice(position, stop) with { First = first && position == section.Start });
    }

    /// <summary>Takes a raw added token over.</summary>
    public void Copy(string text, AddedTokenMatch match)
    {
        if (_normalizer is null)
        {
            _tokens.Accept(match.Id, match.Start, match.End);
            return;
        }

        int length = match.End - match.Start;
        _tokens.Accept(match.Id, _normalizedLength, _normalizedLength + length);
        Append(text.Substring(match.Start, length));
    }

    private void EncodeWords(Piece piece)
    {
        if (piece.Length == 0)
        {
            return;
        }

        if (_splitter is null)
        {
            _words.Accept(piece);
        }
        else
        {
            _splitter.Split(piece, _words);
        }
    }

    private void Append(string normalized)
    {
        _normalized.Add(normalized);
        _normalizedLength += normalized.Length;
    }
}
