using System.Text;

namespace Zqfp.Tokenizers.Tests;

public class SentencePieceTests
{
    private static readonly string[] Pieces = ["\u2581ab", "ab", "\u2581a", "\u2581", "a", "b", "c"];

    [Theory]
    [InlineData("ab", "\u2581ab")]
    [InlineData("ab ab", "\u2581ab \u2581ab")]
    [InlineData("  ab", "\u2581 \u2581 \u2581ab")]
    [InlineData("caab", "\u2581 c a ab")]
    [InlineData("axyb", "\u2581a <unk> b")]
    [InlineData("", "")]
    public void BPE_merges_the_piece_of_the_highest_score_first(string text, string pieces)
    {
        PretrainedTokenizer tokenizer = new TinySentencePiece { Pieces = TinySentencePiece.WithControls(Pieces) }.Load();
        Assert.Equal(pieces, Spell(tokenizer, text));
    }

    [Fact]
    public void Pieces_of_one_score_merge_from_the_left()
    {
        List<SentencePiece> pieces = TinySentencePiece.WithControls("\u2581", "a", "b");
        pieces.AddRange([new SentencePiece("ba", -9, PieceKind.Normal), new SentencePiece("ab", -9, PieceKind.Normal)]);
        PretrainedTokenizer tokenizer = new TinySentencePiece { Pieces = pieces }.Load();
        Assert.Equal("\u2581 ab ab", Spell(tokenizer, "abab"));
        Assert.Equal("\u2581 ba b", Spell(tokenizer, "bab"));
    }

    [Fact]
    public void Byte_fallback_round_trips_any_text()
    {
        PretrainedTokenizer tokenizer = new TinySentencePiece
        {
            Pieces = [.. TinySentencePiece.WithControls(Pieces), .. TinySentencePiece.BytePieces()],
            ByteFallback = true,
        }.Load();
        Assert.Equal("\u2581 <0xC3> <0xA9>", Spell(tokenizer, "é"));
        var random = new RandomText(41);
        for (int i = 0; i < 1000; i++)
        {
            string text = (i % 2 == 0 ? random.Unicode(40) : random.Units(40)).Replace('\u2581', 'x');
            string expected = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            Assert.Equal(expected, tokenizer.Decode(tokenizer.EncodeToIds(text)));
        }
    }

    [Fact]
    public void Control_pieces_name_the_ends_and_are_never_read_from_text()
    {
        PretrainedTokenizer tokenizer = new TinySentencePiece { Pieces = TinySentencePiece.WithControls(Pieces) }.Load();
        Assert.Equal(1, tokenizer.BeginningOfSentenceId);
        Assert.Equal(2, tokenizer.EndOfSentenceId);
        Assert.DoesNotContain(1, tokenizer.EncodeToIds("<s>"));
        Assert.Equal("ab", tokenizer.Decode([1, 3, 2]));
    }

    [Theory]
    [InlineData("Bpe")]
    [InlineData("Unigram")]
    public void User_defined_pieces_stand_whole(string kind)
    {
        List<SentencePiece> pieces = TinySentencePiece.WithControls(Pieces);
        pieces.Add(new SentencePiece("bc", 0, PieceKind.UserDefined));
        PretrainedTokenizer tokenizer = new TinySentencePiece { Pieces = pieces, Kind = Enum.Parse<SentencePieceKind>(kind) }.Load();
        Assert.Equal("\u2581a bc", Spell(tokenizer, "abc"));
    }

    [Fact]
    public void Unigram_finds_the_cut_of_the_greatest_score()
    {
        var random = new Random(42);
        for (int round = 0; round < 60; round++)
        {
            // Scores of eighths add up exactly, so that the order of adding does not matter; ties are told by the score alone.
            string[] texts = [.. Enumerable.Range(0, 12).Select(_ => RandomWord(random, 3)).Concat(["\u2581", "a", "b"]).Distinct()];
            List<SentencePiece> pieces = TinySentencePiece.WithControls();
            pieces.AddRange(texts.Select(text => new SentencePiece(text, -random.Next(1, 80) / 8.0, PieceKind.Normal)));
            PretrainedTokenizer tokenizer = new TinySentencePiece { Pieces = pieces, Kind = SentencePieceKind.Unigram }.Load();
            double unknown = pieces.Where(piece => piece.Kind == PieceKind.Normal).Min(piece => piece.Score) - 10;
            for (int i = 0; i < 20; i++)
            {
                string word = "a" + RandomWord(random, 9).Replace("\u2581", string.Empty, StringComparison.Ordinal);
                double best = BestScore("\u2581" + word, pieces, unknown);
                string[] chosen = [.. tokenizer.EncodeToIds(word).Select(id => tokenizer.TokenOf(id)!)];

                // Unknown characters in a row are one token, but each was paid for.
                int known = chosen.Where(piece => piece != "<unk>").Sum(piece => piece.Length);
                double score = chosen.Where(piece => piece != "<unk>").Sum(piece => pieces.First(other => other.Text == piece).Score)
                    + unknown * (word.Length + 1 - known);
                Assert.Equal(best, score);
            }
        }
    }

    [Theory]
    [InlineData("  ab   ab ", "\u2581ab \u2581ab")]
    [InlineData("   ", "")]
    [InlineData("ab\tab", "\u2581ab \u2581ab")]
    [InlineData("\u00C5c", "\u2581ab c")]
    [InlineData("A\u030Ac", "\u2581 c c")] // The longest rule wins.
    [InlineData("A\u0301b", "\u2581ab <unk> b")]
    public void Applies_the_models_own_rules_and_then_removes_extra_spaces(string text, string pieces)
    {
        PretrainedTokenizer tokenizer = new TinySentencePiece
        {
            Pieces = [.. TinySentencePiece.WithControls(Pieces)],
            RemoveExtraWhitespaces = true,
            CharsMap = TinySentencePiece.BuildCharsMap(("\t", " "), ("\u00C5", "ab"), ("A", "ab"), ("A\u030A", "c"), ("\u200B", "")),
        }.Load();
        Assert.Equal(pieces, Spell(tokenizer, text));
        Assert.Equal(Spell(tokenizer, "ab"), Spell(tokenizer, "a\u200Bb"));
    }

    [Fact]
    public void The_dummy_prefix_can_be_absent_or_a_suffix()
    {
        var model = new TinySentencePiece { Pieces = TinySentencePiece.WithControls("ab\u2581", "ab", "\u2581", "a", "b") };
        Assert.Equal("ab", Spell((model with { AddDummyPrefix = false }).Load(), "ab"));
        Assert.Equal("ab\u2581 ab\u2581", Spell((model with { WhitespaceIsSuffix = true }).Load(), "ab ab"));
    }

    private static string Spell(PretrainedTokenizer tokenizer, string text) =>
        string.Join(' ', tokenizer.EncodeToIds(text).Select(id => tokenizer.TokenOf(id)));

    private static string RandomWord(Random random, int longest) =>
        string.Concat(Enumerable.Range(0, 1 + random.Next(longest)).Select(_ => "aabbcx\u2581"[random.Next(7)]));

    /// <summary>The greatest sum over all ways to cut the word.</summary>
    private static double BestScore(string word, List<SentencePiece> pieces, double unknown)
    {
        if (word.Length == 0)
        {
            return 0;
        }

        double best = double.NegativeInfinity;
        for (int length = 1; length <= word.Length; length++)
        {
            string piece = word[..length];
            int found = pieces.FindIndex(other => other.Kind == PieceKind.Normal && other.Text == piece);
            if (found >= 0 || length == 1)
            {
                double score = found >= 0 ? pieces[found].Score : unknown;
                best = Math.Max(best, score + BestScore(word[length..], pieces, unknown));
            }
        }

        return best;
    }
}
