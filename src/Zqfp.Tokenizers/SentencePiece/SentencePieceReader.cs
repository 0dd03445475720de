using System.Text;
using Google.Protobuf;

namespace Zqfp.Tokenizers;

/// <summary>Reads a SentencePiece <c>.model</c>.</summary>
internal static class SentencePieceReader
{
    private const char SpaceMark = '\u2581';

    /// <exception cref="ZqfpException">ZQFP0102 where the file is something else, ZQFP0103 where its kind is not supported,
    /// ZQFP0106 and ZQFP0107 where it is damaged.</exception>
    public static SubwordEngineParts Read(TokenizerFile file)
    {
        SentencePieceProto proto = Parse(file);
        Dictionary<string, int> ids = IdsByText(proto, file);
        PrefixMatcher userDefined = new(Enumerable.Range(0, proto.Pieces.Count)
            .Where(id => proto.Pieces[id].Kind == PieceKind.UserDefined)
            .Select(id => (proto.Pieces[id].Text, id)));
        PrefixMatcher? frozen = userDefined.IsEmpty ? null : userDefined;
        return new SubwordEngineParts
        {
            RawTokens = new AddedTokens([]),
            NormalizedTokens = new AddedTokens([]),
            Normalizer = new SentencePieceNormalizer(ReadCharsMap(proto, file), frozen)
            {
                AddDummyPrefix = proto.AddDummyPrefix,
                WhitespaceIsSuffix = proto.WhitespaceIsSuffix,
                RemoveExtraWhitespaces = proto.RemoveExtraWhitespaces,
                EscapeWhitespaces = proto.EscapeWhitespaces,
            },
            WordCutter = CutsAtSpaceMarks(proto, ids) ? new SpaceMarkScanner() : null,
            Model = CreateModel(proto, frozen, file),
            Decoder = new TokenDecoder(
                [.. proto.Pieces.Select(piece => Surface(piece, proto))],
                !proto.AddDummyPrefix || proto.WhitespaceIsSuffix ? 0 : proto.RemoveExtraWhitespaces ? int.MaxValue : 1),
            Spellings = [.. proto.Pieces.Select(piece => piece.Text)],
            Ids = ids,
            Special = new SpecialTokens
            {
                BeginningOfSentenceId = ControlId(proto, proto.BeginningId),
                EndOfSentenceId = ControlId(proto, proto.EndId),
                SequenceBeginningId = SequenceTokens.AddsBeginning(file.Path) == true ? ControlId(proto, proto.BeginningId) : null,
            },
        };
    }

    private static SentencePieceProto Parse(TokenizerFile file)
    {
        try
        {
            SentencePieceProto proto = SentencePieceProto.Parse(file.Content);
            return proto.Pieces.Count > 0 ? proto : throw Unknown(file, null);
        }
        catch (InvalidProtocolBufferException exception)
        {
            // A model begins with its first piece: field 1, length, field 1 of the piece.
            throw file.Content is [0x0A, _, 0x0A, ..] ? Damaged(file, exception.Message, exception) : Unknown(file, exception);
        }
    }

    private static Dictionary<string, int> IdsByText(SentencePieceProto proto, TokenizerFile file)
    {
        var ids = new Dictionary<string, int>(proto.Pieces.Count, StringComparer.Ordinal);
        for (int id = 0; id < proto.Pieces.Count; id++)
        {
            if (proto.Pieces[id].Text.Length == 0 || !ids.TryAdd(proto.Pieces[id].Text, id))
            {
                throw Damaged(file, $"piece {id}, '{proto.Pieces[id].Text}', is empty or there twice");
            }
        }

        return proto.Pieces.Count(piece => piece.Kind == PieceKind.Unknown) == 1
            ? ids
            : throw Damaged(file, "it should have exactly one unknown piece");
    }

    private static ISubwordModel CreateModel(SentencePieceProto proto, PrefixMatcher? userDefined, TokenizerFile file)
    {
        var spoken = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int id = 0; id < proto.Pieces.Count; id++)
        {
            if (proto.Pieces[id].Kind is PieceKind.Normal or PieceKind.UserDefined)
            {
                spoken.Add(proto.Pieces[id].Text, id);
            }
        }

        var symbols = new CharacterSymbols(spoken)
        {
            UnknownId = proto.Pieces.FindIndex(piece => piece.Kind == PieceKind.Unknown),
            FuseUnknown = true,
            BytePieces = proto.ByteFallback ? BytePieces(proto) : null,
            UserDefined = userDefined,
        };
        return proto.Kind switch
        {
            SentencePieceKind.Bpe when proto.Pieces.Exists(piece => piece.Kind == PieceKind.Unused) =>
                throw Unsupported(file, "BPE with unused pieces"),
            SentencePieceKind.Bpe => new CharacterBpeModel(symbols, new MergeTable(PieceMerges.Derive(proto.Pieces, spoken)),
                wholeWords: null),
            SentencePieceKind.Unigram => new UnigramModel(proto.Pieces, symbols, single: true),
            _ => throw Unsupported(file, $"type {proto.Kind}"),
        };
    }

    private static int[] BytePieces(SentencePieceProto proto)
    {
        return CharacterSymbols.FindBytePieces(Enumerable.Range(0, proto.Pieces.Count)
            .Where(id => proto.Pieces[id].Kind == PieceKind.Byte)
            .ToDictionary(id => proto.Pieces[id].Text, StringComparer.Ordinal));
    }

    /// <summary>Whether the text may be encoded word by word: the mark is a piece, and no piece has it after another character.</summary>
    private static bool CutsAtSpaceMarks(SentencePieceProto proto, Dictionary<string, int> ids)
    {
        return ids.TryGetValue(SpaceMark.ToString(), out int id) && proto.Pieces[id].Kind == PieceKind.Normal
            && proto.Pieces.TrueForAll(piece => piece.Text.AsSpan().TrimStart(SpaceMark).IndexOf(SpaceMark) < 0);
    }

    private static byte[] Surface(SentencePiece piece, SentencePieceProto proto)
    {
        return piece.Kind switch
        {
            PieceKind.Control => [],
            PieceKind.Unknown => Encoding.UTF8.GetBytes(proto.UnknownSurface),
            PieceKind.Byte when CharacterSymbols.TryReadByte(piece.Text, out byte value) => [value],
            _ => Encoding.UTF8.GetBytes(piece.Text.Replace(SpaceMark, ' ')),
        };
    }

    private static int? ControlId(SentencePieceProto proto, int id)
    {
        return (uint)id < (uint)proto.Pieces.Count && proto.Pieces[id].Kind == PieceKind.Control ? id : null;
    }

    private static CharsMap? ReadCharsMap(SentencePieceProto proto, TokenizerFile file)
    {
        return proto.CharsMap.Length == 0 ? null
            : CharsMap.TryRead(proto.CharsMap, out CharsMap? map) ? map
            : throw Damaged(file, "its normalization table (precompiled_charsmap) is broken");
    }

    private static ZqfpException Damaged(TokenizerFile file, string what, Exception? cause = null) =>
        new ZqfpException(TextCodes.SentencePieceDamaged,
            $"The SentencePiece model '{file.Name}' is damaged: {what}. Fetch the file again.", file.Path, cause);

    private static ZqfpException Unsupported(TokenizerFile file, string what) =>
        new ZqfpException(TextCodes.ModelUnsupported,
            $"The SentencePiece model '{file.Name}' is of {what}, which is not supported; BPE and unigram are. Give pre-tokenized data "
            + "instead.",
            file.Path);

    private static ZqfpException Unknown(TokenizerFile file, Exception? cause) =>
        new ZqfpException(TextCodes.TokenizerFormatUnknown,
            $"'{file.Name}' is neither a tokenizer.json nor a SentencePiece .model. Name one of these.", file.Path, cause);
}
