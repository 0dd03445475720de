using System.Text.Json;

namespace Zqfp.Tokenizers;

/// <summary>Makes the subword model of <c>model</c>, type <c>Unigram</c>.</summary>
internal static class UnigramFactory
{
    /// <exception cref="ZqfpException">ZQFP0103 where the model asks for something else, ZQFP0106 where it is broken.</exception>
    public static UnigramModel Create(JsonComponent model, Vocabulary vocabulary)
    {
        SentencePiece[] pieces =
        [
            .. model.Elements("vocab").Select(entry => new SentencePiece(entry[0].GetString()!, entry[1].GetDouble(), PieceKind.Normal))
        ];
        if (!model.TryGet("unk_id", out JsonElement unknown))
        {
            throw model.Unsupported(TextCodes.ModelUnsupported, "a Unigram model without unk_id, which cannot encode every text");
        }

        if (unknown.ValueKind != JsonValueKind.Number || !unknown.TryGetInt32(out int id) || (uint)id >= (uint)pieces.Length)
        {
            throw model.Malformed($"the unk_id of '{model.Place}' is not in the vocabulary");
        }

        int[]? bytes = model.Bool("byte_fallback", false) ? CharacterSymbols.FindBytePieces(vocabulary.Ids) : null;
        if (bytes is not null && bytes.Contains(CharacterSymbols.Unknown))
        {
            throw model.Unsupported(TextCodes.ModelUnsupported, "byte fallback with bytes that the vocabulary lacks");
        }

        // Every code point that is a piece is found by the model itself: the symbols spell the others.
        var symbols = new CharacterSymbols([]) { UnknownId = id, FuseUnknown = true, BytePieces = bytes };
        return new UnigramModel(pieces, symbols, single: false);
    }
}
