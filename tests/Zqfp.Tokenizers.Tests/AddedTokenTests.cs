using System.Text.Json.Nodes;

namespace Zqfp.Tokenizers.Tests;

public class AddedTokenTests
{
    [Theory]
    [InlineData("""{"content":"<x>"}""", "a <x> b", new[] { 'a', ' ', 262, ' ', 'b' })]
    [InlineData("""{"content":"<x>","lstrip":true}""", "a  <x> b", new[] { 'a', 262, ' ', 'b' })]
    [InlineData("""{"content":"<x>","rstrip":true}""", "a <x>  b", new[] { 'a', ' ', 262, 'b' })]
    [InlineData("""{"content":"ab","single_word":true}""", "ab cab abc (ab)",
        new[] { 262, ' ', 'c', 'a', 'b', ' ', 'a', 'b', 'c', ' ', '(', 262, ')' })]
    [InlineData("""{"content":"<x>"}""", "<x><x>", new[] { 262, 262 })]
    [InlineData("""{"content":"<x>"}""", "<x", new int[] { '<', 'x' })]
    public void Is_found_by_its_rules(string token, string text, int[] ids)
    {
        JsonObject added = JsonNode.Parse(token)!.AsObject();
        added["id"] = 262;
        added["special"] = true;
        JsonObject json = TinyTokenizers.ByteLevel();
        json["added_tokens"]!.AsArray().Add(added);
        Assert.Equal(ids, TinyTokenizers.Load(json).EncodeToIds(text));
    }

    [Fact]
    public void The_longest_of_those_that_begin_at_one_place_wins()
    {
        JsonObject json = TinyTokenizers.ByteLevel();
        json["added_tokens"] = new JsonArray(
            TinyTokenizers.Added(261, "<a"), TinyTokenizers.Added(262, "<ab>"), TinyTokenizers.Added(263, "b>"));
        Assert.Equal([262, 262, 263], TinyTokenizers.Load(json).EncodeToIds("<ab><ab>b>"));
        Assert.Equal([261, 'b', 'c'], TinyTokenizers.Load(json).EncodeToIds("<abc"));
    }

    [Fact]
    public void A_normalized_token_is_found_in_the_normalized_text_and_decodes_as_written()
    {
        JsonObject json = TinyTokenizers.ByteLevel();
        json["normalizer"] = new JsonObject { ["type"] = "Lowercase" };
        json["added_tokens"] = new JsonArray(TinyTokenizers.Added(261, "Yes", special: false), TinyTokenizers.Added(262, "No"));
        PretrainedTokenizer tokenizer = TinyTokenizers.Load(json);
        Assert.Equal([261, 261], tokenizer.EncodeToIds("YESyes"));
        Assert.Equal([262, 'n', 'o'], tokenizer.EncodeToIds("NoNO"));
        Assert.Equal("Yes", tokenizer.Decode([261]));
    }

    [Fact]
    public void A_token_of_the_model_keeps_the_models_id()
    {
        JsonObject json = TinyTokenizers.ByteLevel();
        json["added_tokens"] = new JsonArray(TinyTokenizers.Added(262, "hello"));
        Assert.Equal([259, 259], TinyTokenizers.Load(json).EncodeToIds("hellohello"));
    }
}
