using System.Text.Json;
using System.Text.Json.Nodes;
using Zqfp.Tokenizers;

namespace Zqfp.Tests;

/// <summary>Hand-made tokenizers, small enough to know their ids by heart.</summary>
internal static class TinyTokenizers
{
    /// <summary>
    /// Byte level: ids 0..255 are the bytes, then "he" 256, "ll" 257, "hell" 258, "hello" 259, "Ġhello" 260,
    /// and the added token <c>&lt;|endoftext|&gt;</c> 261.
    /// </summary>
    public static JsonObject ByteLevel()
    {
        var vocabulary = new JsonObject();
        for (int value = 0; value < 256; value++)
        {
            vocabulary[Spell(value)] = value;
        }

        (string, string)[] merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("\u0120", "hello")];
        foreach ((string left, string right) in merges)
        {
            vocabulary[left + right] = vocabulary.Count;
        }

        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(Added(261, "<|endoftext|>")),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["use_regex"] = true },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. merges.Select(merge => (JsonNode)new JsonArray(merge.Item1, merge.Item2))]),
            },
        };
    }

    /// <summary>
    /// SentencePiece style: unk 0, s 1, /s 2, bytes 3..258, then "▁" 259, a 260, b 261, c 262, "▁a" 263, "ab" 264, "▁ab" 265.
    /// </summary>
    public static JsonObject ByteFallback()
    {
        var vocabulary = new JsonObject { ["<unk>"] = 0, ["<s>"] = 1, ["</s>"] = 2 };
        for (int value = 0; value < 256; value++)
        {
            vocabulary[$"<0x{value:X2}>"] = 3 + value;
        }

        foreach (string token in new[] { "\u2581", "a", "b", "c", "\u2581a", "ab", "\u2581ab" })
        {
            vocabulary[token] = vocabulary.Count;
        }

        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(Added(0, "<unk>"), Added(1, "<s>"), Added(2, "</s>")),
            ["normalizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["normalizers"] = new JsonArray(
                    new JsonObject { ["type"] = "Prepend", ["prepend"] = "\u2581" },
                    new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = " " }, ["content"] = "\u2581" }),
            },
            ["pre_tokenizer"] = null,
            ["post_processor"] = new JsonObject
            {
                ["type"] = "TemplateProcessing",
                ["single"] = new JsonArray(
                    new JsonObject { ["SpecialToken"] = new JsonObject { ["id"] = "<s>", ["type_id"] = 0 } },
                    new JsonObject { ["Sequence"] = new JsonObject { ["id"] = "A", ["type_id"] = 0 } }),
            },
            ["decoder"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["decoders"] = new JsonArray(
                    new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = "\u2581" }, ["content"] = " " },
                    new JsonObject { ["type"] = "ByteFallback" },
                    new JsonObject { ["type"] = "Fuse" },
                    new JsonObject { ["type"] = "Strip", ["content"] = " ", ["start"] = 1, ["stop"] = 0 }),
            },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["unk_token"] = "<unk>",
                ["fuse_unk"] = true,
                ["byte_fallback"] = true,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray("\u2581 a", "a b", "\u2581 ab"),
            },
        };
    }

    public static JsonObject Added(int id, string content, bool special = true) =>
        new() { ["id"] = id, ["content"] = content, ["special"] = special, ["normalized"] = !special };

    /// <summary>Loads a tokenizer as from a file of its own.</summary>
    public static PretrainedTokenizer Load(JsonObject tokenizer) => Load(JsonSerializer.SerializeToUtf8Bytes(tokenizer));

    public static PretrainedTokenizer Load(byte[] content)
    {
        using var folder = new TemporaryFolder();
        return PretrainedTokenizer.Load(folder.Write("tokenizer.json", content));
    }

    private static string Spell(int value) => ByteAlphabet.Spell((byte)value).ToString();
}
